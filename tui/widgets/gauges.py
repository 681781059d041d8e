"""Lines about memory and load, with bars and their last minutes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.contract.units import size
from tui.content.ink import Part, bar, fit
from tui.readers.clean import clean

if TYPE_CHECKING:
    from pipeline.contract.gpus import GpuSample
    from pipeline.contract.run.events import Memory
    from tui.readers.hardware import HostSample, MachineSample

Line = list[Part]

_NAME, _GPU = 10, 8
_FIGURES = 20
_BLOCKS = "▁▂▃▄▅▆▇█"


def spark(shares: Sequence[float], width: int) -> str:
    """The last minutes in `width` cells, newest on the right; a cell shows its highest share."""
    if width <= 0 or not shares:
        return " " * max(0, width)
    stride = -(-len(shares) // width)
    tops = [max(shares[max(0, end - stride) : end]) for end in range(len(shares), 0, -stride)]
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round(min(1.0, s) * top)] for s in reversed(tops)).rjust(width)


def gpu_lines(gpu: GpuSample, history: Mapping[str, Sequence[float]], width: int) -> list[Line]:
    """Memory, utilisation, temperature and power of a device, each with its history; or why it
    tells nothing."""
    if gpu.trouble:
        return [[(line, "warn")] for line in textwrap.wrap(clean(gpu.trouble), width)]
    busy = "n/a (MIG)" if gpu.mig else "n/a"
    if gpu.busy is not None:
        busy = f"{gpu.busy} % of time ≥ 1 kernel ran"
    return [
        gauge("memory", gpu.used, gpu.total, width),
        _named("", [(_memory_figures(gpu), "dim")]),
        past("busy", busy, history.get(f"{gpu.uuid} busy", ()), width),
        past("power", _heat(gpu) or "n/a", history.get(f"{gpu.uuid} power", ()), width),
    ]


def detail_lines(gpu: GpuSample, history: Mapping[str, Sequence[float]], width: int) -> list[Line]:
    """As `gpu_lines`, with the last minutes of memory and heat too, and the clocks."""
    lines = gpu_lines(gpu, history, width)
    if gpu.trouble:
        return lines
    used = f"{size(gpu.used)} of {size(gpu.total)}" if gpu.total else "n/a"
    heat = f"{gpu.temperature} °C" if gpu.temperature is not None else "n/a"
    clocks = [
        f"{name} {clock} MHz"
        for name, clock in (("SM", gpu.clock), ("memory", gpu.memory_clock))
        if clock is not None
    ]
    return [
        past("memory", used, history.get(f"{gpu.uuid} memory", ()), width),
        *lines[1:],
        past("heat", heat, history.get(f"{gpu.uuid} heat", ()), width),
        _named("clocks", [(", ".join(clocks) or "n/a", "plain")]),
    ]


def gpu_title(gpu: GpuSample) -> str:
    """`gpu 0 · NVIDIA H100`, and whether stages may use it."""
    hidden = " · hidden by CUDA_VISIBLE_DEVICES" if gpu.visible is False else ""
    return f"gpu {gpu.index} · {clean(gpu.name, 60)}{hidden}"


def compact_gpu(gpu: GpuSample, history: Mapping[str, Sequence[float]], width: int) -> Line:
    """A device in one line: `gpu 0   61 of 80 GiB ▂▅▇▇▇ 97 % 64 °C 412 W`."""
    name: Part = (fit(f"gpu {gpu.index}", _GPU), "dim" if gpu.visible is False else "plain")
    if gpu.trouble:
        return [name, (fit(clean(gpu.trouble), width - _GPU), "warn")]
    busy = "MIG" if gpu.mig else f"{gpu.busy} %" if gpu.busy is not None else "n/a"
    figures = " ".join(filter(None, [busy, _heat(gpu, limit=False)]))
    memory = (
        f"{size(gpu.used)} of {size(gpu.total)}" if gpu.total and gpu.used is not None else "n/a"
    )
    room = width - _GPU - len(memory) - len(figures) - 2
    busy_then = spark(history.get(f"{gpu.uuid} busy", ()), min(room, 30)) if room >= 3 else ""
    return [name, (f"{memory} ", "plain"), (f"{busy_then} ", "accent"), (figures, "plain")]


def gpus_line(gpus: Sequence[GpuSample], hint: str, width: int) -> Line:
    """All devices in one line: `8 GPUs  288 GiB of 640 GiB 35 %`, and how to see each."""
    known = [gpu for gpu in gpus if gpu.total and gpu.used is not None]
    memory = f"{size(sum(gpu.used or 0 for gpu in known))} of {_sum_of_totals(known)}"
    loads = [gpu.busy for gpu in gpus if gpu.busy is not None]
    load = f" {sum(loads) / len(loads):.0f} %" if loads else ""
    told = f"{memory if known else 'n/a'}{load}, {hint}"
    return [(fit(f"{len(gpus)} GPUs", _GPU), "plain"), (fit(told, width - _GPU), "plain")]


def _sum_of_totals(gpus: Sequence[GpuSample]) -> str:
    return size(sum(gpu.total or 0 for gpu in gpus))


def host_line(machine: MachineSample) -> Line:
    """The host's memory and CPU in one line."""
    host = machine.host
    memory = f"{size(host.used)} of {size(host.total)}"
    return [(fit("host", _GPU), "plain"), (f"{memory}, cpu {host.cpu:,.0f} %", "plain")]


def stage_lines(name: str, memory: Memory | None, host: HostSample) -> list[Line]:
    """A stage's own figures: on the accelerator if it used one, and on the host."""
    lines: list[Line] = []
    if memory and memory.peak:
        figures = (memory.allocated, memory.reserved, memory.peak)
        text = "allocated {}, reserved {}, peak {}".format(*map(size, figures))
        lines.append([(fit(name, _NAME), "accent"), (text, "plain")])
    rss = host.stage_rss if host.stage_rss is not None else memory.rss if memory else None
    if rss is not None:
        now = host.stage_cpu is not None
        load = f", cpu {host.stage_cpu:.0f} %" if now else " when last seen"
        called: Part = (fit("" if lines else name, _NAME), "accent")
        lines.append([called, (f"resident {size(rss)}{load}", "plain")])
    return lines


def host_lines(machine: MachineSample, width: int) -> list[Line]:
    """The host's memory and CPU."""
    host = machine.host
    return [
        gauge("memory", host.used, host.total, width),
        percent("cpu", host.cpu, host.cores * 100.0, width),
    ]


def gauge(name: str, used: int | None, total: int | None, width: int) -> Line:
    """A bar with bytes."""
    if used is None or not total:
        return _named(name, [("n/a", "dim")])
    return _bar(name, used / total, f"{size(used)} of {size(total)}", width)


def percent(name: str, value: float | None, whole: float, width: int) -> Line:
    """`value` in per cent; `whole` is what a full bar stands for (100 a core)."""
    if value is None:
        return _named(name, [("n/a", "dim")])
    cores = f" of {whole:,.0f} %" if whole > 100 else " %"
    return _bar(name, value / whole, f"{value:,.0f}{cores}", width)


def past(name: str, text: str, shares: Sequence[float], width: int) -> Line:
    """The last minutes of a reading, with what it is now."""
    room = width - _NAME - len(text) - 1
    if room < 4:
        return _named(name, [(text, "plain")])
    return _named(name, [(spark(shares, room), "accent"), (f" {text}", "plain")])


def _memory_figures(gpu: GpuSample) -> str:
    if gpu.used is None or gpu.total is None:
        return "the driver does not tell"
    free = gpu.total - gpu.used - (gpu.reserved or 0)
    return f"{size(gpu.used)} used, {size(gpu.reserved)} reserved, {size(free)} free"


def _heat(gpu: GpuSample, limit: bool = True) -> str:
    heat = f"{gpu.temperature} °C" if gpu.temperature is not None else ""
    most = f" of {gpu.power_limit:.0f}" if limit and gpu.power_limit else ""
    power = f"{gpu.power:.0f}{most} W" if gpu.power is not None else ""
    return " ".join(filter(None, [power, heat]))


def _bar(name: str, share: float, figures: str, width: int) -> Line:
    length = max(0, width - _NAME - _FIGURES - 1)
    right: Part = (fit(figures, min(_FIGURES, width - _NAME), right=True), "plain")
    return _named(name, [*bar(share, length), (" ", "plain"), right])


def _named(name: str, parts: Line) -> Line:
    return [(fit(name, _NAME), "dim"), *parts]
