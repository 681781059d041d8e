"""Memory and load: every GPU, what the stage itself reports, the host."""

from __future__ import annotations

from textual.reactive import reactive
from textual.strip import Strip

from tui.readers.clean import clean
from tui.readers.format import size
from tui.readers.hardware import GpuSample, HostSample, MachineSample
from tui.readers.history import StageMemory
from tui.widgets.ink import Inked, Part, bar, fit

_NAME = 8
_FIGURES = 20


class MachinePanel(Inked):
    """Bars with their figures, GPUs first; without a GPU it says why."""

    machine: reactive[MachineSample | None] = reactive(None)
    stage_name: reactive[str] = reactive("")
    stage_memory: reactive[StageMemory | None] = reactive(None)
    """As the stage itself reported it last."""

    def on_mount(self) -> None:
        """Names the panel."""
        self.border_title = "Memory and load"

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        lines = self._lines(width - 2) if self.machine else []
        return self.ink_strip([(" ", "plain"), *lines[y]] if y < len(lines) else [], width)

    def _lines(self, width: int) -> list[list[Part]]:
        assert self.machine is not None
        host = self.machine.host
        lines = [line for gpu in self.machine.gpus for line in _gpu_lines(gpu, width)]
        lines += self._stage_lines(host, bool(self.machine.gpus))
        lines.append(_gauge("memory", host.used, host.total, width))
        lines.append(_percent("cpu", host.cpu, host.cores * 100.0, width))
        if self.machine.no_gpu:
            lines.append([(fit(clean(self.machine.no_gpu), width), "dim")])
        return lines

    def _stage_lines(self, host: HostSample, gpu: bool) -> list[list[Part]]:
        """The stage's own figures: on the accelerator if it has one, and on the host."""
        memory, lines = self.stage_memory, list[list[Part]]()
        if memory and (memory.peak or gpu):
            figures = (memory.allocated, memory.reserved, memory.peak)
            text = "allocated {}, reserved {}, peak {}".format(*map(size, figures))
            lines.append([(fit(self.stage_name, _NAME), "accent"), (text, "plain")])
        rss = host.stage_rss if host.stage_rss is not None else memory.rss if memory else None
        if rss is not None:
            now = host.stage_cpu is not None
            load = f", cpu {host.stage_cpu:.0f} %" if now else " when last seen"
            name: Part = (fit("" if lines else self.stage_name, _NAME), "accent")
            lines.append([name, (f"resident {size(rss)}{load}", "plain")])
        return lines


def _gpu_lines(gpu: GpuSample, width: int) -> list[list[Part]]:
    name = fit(f"gpu {gpu.index}", _NAME)
    return [
        [(name, "plain"), (fit(clean(gpu.name), max(0, width - _NAME)), "dim")],
        _gauge("  memory", gpu.used, gpu.total, width),
        _percent("  busy", gpu.busy, 100.0, width),
    ]


def _gauge(name: str, used: int | None, total: int | None, width: int) -> list[Part]:
    if used is None or not total:
        return [(fit(name, _NAME), "dim"), ("n/a", "dim")]
    return _bar(name, used / total, f"{size(used)} of {size(total)}", width)


def _percent(name: str, value: float | None, whole: float, width: int) -> list[Part]:
    """`value` in per cent; `whole` is what a full bar stands for (100 a core)."""
    if value is None:
        return [(fit(name, _NAME), "dim"), ("n/a", "dim")]
    cores = f" of {whole:.0f} %" if whole > 100 else " %"
    return _bar(name, value / whole, f"{value:.0f}{cores}", width)


def _bar(name: str, share: float, figures: str, width: int) -> list[Part]:
    length = max(0, width - _NAME - _FIGURES - 1)
    right: Part = (fit(figures, min(_FIGURES, width - _NAME), right=True), "plain")
    return [(fit(name, _NAME), "dim"), *bar(share, length), (" ", "plain"), right]
