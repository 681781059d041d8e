"""The machine on the whole screen: every GPU, the processes on them and ours, the host."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.reactive import reactive
from textual.strip import Strip

from pipeline.contract.units import size
from tui.content.ink import Part, fit
from tui.keys import bindings
from tui.readers.clean import clean
from tui.widgets.gauges import Line, detail_lines, gauge, gpu_title, past, spark, stage_lines
from tui.widgets.inked import Inked
from tui.widgets.lines import Lines

if TYPE_CHECKING:
    from pipeline.contract.gpus import GpuSample
    from pipeline.contract.run.events import Memory
    from tui.readers.hardware import MachineSample
    from tui.readers.processes import ProcessSample

_INDEX, _UTILISATION, _MEMORY, _HEAT, _POWER, _CLOCK = 5, 6, 17, 8, 12, 9
_FIXED = _INDEX + _UTILISATION + _MEMORY + _HEAT + _POWER + _CLOCK
_NAME, _NAME_MOST = 10, 26
_MISSING = "–"
_PID, _GPUS, _FIGURE = 9, 8, 11
_AROUND, _FEWEST = 3, 4
"""Lines of a list's border and head, and with one line in it."""
_HOST_FEWEST = 6
"""Lines of the host's panel without those of a stage."""


class DeviceList(Lines, inherit_bindings=False):
    """One line a GPU or MIG instance; what has no room scrolls, and the panel says how many there
    are."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("scroll")

    machine: reactive[MachineSample | None] = reactive(None, repaint=False)

    def watch_machine(self) -> None:
        """A new sample."""
        gpus = self.machine.gpus if self.machine else ()
        self.count = len(gpus)
        self._tell()
        self.refresh_changed()

    def watch_scroll_y(self, old: float, new: float) -> None:
        """Others are in view."""
        super().watch_scroll_y(old, new)
        self._tell()

    def on_resize(self) -> None:
        """There may be room for more now."""
        self._tell()

    def _tell(self) -> None:
        room, first = self.size.height - self._header_height, round(self.scroll_y)
        in_part = f"{first + 1}–{min(self.count, first + room)} of {self.count} in view"
        self.entitle(f"GPUs · {self.count}", in_part if 0 < room < self.count else "")

    @property
    def selected(self) -> GpuSample | None:
        """The device under the cursor."""
        gpus = self.machine.gpus if self.machine else ()
        return gpus[self.cursor] if self.cursor < len(gpus) else None

    def draw_line(self, y: int) -> Strip:
        """One line of the screen; without a GPU, why there is none."""
        if self.machine is None or self.machine.gpus:
            return super().draw_line(y)
        width = self.size.width
        why = textwrap.wrap(clean(self.machine.no_gpu), width - 2)
        return self.ink_strip([(f" {why[y]}", "warn")] if y < len(why) else [], width)

    def header(self, width: int) -> list[Part] | None:
        """Names of the columns."""
        if not self.count:
            return None
        name, then = _widths(width)
        return [
            (fit("gpu", _INDEX) + fit("name", name) + fit("util", _UTILISATION, right=True), "dim"),
            (fit(" last minutes" if then > len("last minutes") else " past", then), "dim"),
            (fit("memory used", _MEMORY, right=True) + fit("heat", _HEAT, right=True), "dim"),
            (fit("power", _POWER, right=True) + fit("clock", _CLOCK, right=True), "dim"),
        ]

    def line(self, index: int, width: int) -> list[Part]:
        """`0  NVIDIA H100  97 % ▂▅▇▇  60 GiB/80 GiB  64 °C  412/700 W  1980 MHz`."""
        machine = self.machine
        if machine is None:
            return []
        gpu = machine.gpus[index]
        number: Part = (fit(gpu.index, _INDEX), "dim" if gpu.visible is False else "strong")
        if gpu.trouble:
            return [number, (fit(clean(gpu.trouble), width - _INDEX), "warn")]
        name, then = _widths(width)
        hidden = "hidden: " if gpu.visible is False else ""
        busy = "MIG" if gpu.mig else _with(gpu.busy, "%")
        past_load = machine.history.get(f"{gpu.uuid} busy", ())
        return [
            number,
            (fit(hidden + clean(gpu.name, 60), name), "dim" if hidden else "plain"),
            (fit(busy, _UTILISATION, right=True), "plain"),
            (fit(f" {spark(past_load, then - 1)}" if then else "", then), "accent"),
            (fit(_share(size(gpu.used), size(gpu.total)), _MEMORY, right=True), "plain"),
            (fit(_with(gpu.temperature, "°C"), _HEAT, right=True), "plain"),
            (fit(_power(gpu), _POWER, right=True), "plain"),
            (fit(_with(gpu.clock, "MHz"), _CLOCK, right=True), "plain"),
        ]


class ProcessList(Lines, inherit_bindings=False):
    """One line a process: ours by run and stage, others' by user and program."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("scroll")

    processes: reactive[tuple[ProcessSample, ...]] = reactive((), repaint=False)

    def on_mount(self) -> None:
        """Nothing is known yet."""
        self.empty = "no stage is at work on this machine, and no process on its GPUs"

    def watch_processes(self) -> None:
        """Another look."""
        ours = sum(one.is_ours for one in self.processes)
        self.count = len(self.processes)
        self.entitle(
            f"Processes · {self.count}, {ours} of Headwater" if self.count else "Processes"
        )
        self.refresh_changed()

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        figures = "".join(fit(n, _FIGURE, right=True) for n in ("GPU memory", "memory", "cpu"))
        name = max(0, width - _PID - _GPUS - 3 * _FIGURE)
        return [(fit("pid", _PID) + fit("gpu", _GPUS) + fit("whose", name) + figures, "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`4711  0,1  demo · train  58 GiB  3.1 GiB  150 %`."""
        one = self.processes[index]
        name = max(0, width - _PID - _GPUS - 3 * _FIGURE)
        cpu = _MISSING if one.cpu is None else f"{one.cpu:,.0f} %"
        figures = (size(one.gpu_memory), size(one.rss), cpu)
        return [
            (fit(str(one.pid), _PID), "plain"),
            (fit(",".join(one.gpus) or _MISSING, _GPUS), "plain"),
            (fit(clean(one.name), name), "accent" if one.is_ours else "plain"),
            *((fit(figure, _FIGURE, right=True), "plain") for figure in figures),
        ]


class DevicePanel(Inked):
    """The device under the cursor, with its last minutes."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    machine: reactive[MachineSample | None] = reactive(None, repaint=False)
    device: reactive[GpuSample | None] = reactive(None, repaint=False)

    def watch_device(self) -> None:
        """Another device, or a new sample of it."""
        if gpu := self.device:
            self.entitle(gpu_title(gpu), clean(gpu.uuid, 40))
        self.refresh_changed()

    def draw_line(self, y: int) -> Strip:
        """One line of the screen."""
        width, lines = self.size.width, list[Line]()
        if self.device and self.machine:
            lines = detail_lines(self.device, self.machine.history, width - 2)
        return self.ink_strip([(" ", "plain"), *lines[y]] if y < len(lines) else [], width)


class HostPanel(Inked):
    """The host, and what the stage at work reports of itself."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    machine: reactive[MachineSample | None] = reactive(None, repaint=False)
    stage_name: reactive[str] = reactive("", repaint=False)
    stage_memory: reactive[Memory | None] = reactive(None, repaint=False)

    def watch_machine(self) -> None:
        """A new sample."""
        cores = f" · {self.machine.host.cores} cores" if self.machine else ""
        self.entitle(f"Host{cores}")
        self.refresh_changed()

    def draw_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        lines = self._lines(self.machine, width - 2) if self.machine else []
        return self.ink_strip([(" ", "plain"), *lines[y]] if y < len(lines) else [], width)

    @property
    def needed(self) -> int:
        """Lines of all that it tells, with its border."""
        return len(self._lines(self.machine, 0)) + 2 if self.machine else _HOST_FEWEST

    def _lines(self, machine: MachineSample, width: int) -> list[Line]:
        host, history = machine.host, machine.history
        load = " ".join(f"{one:.2f}" for one in host.load) if host.load else _MISSING
        cpu = f"{host.cpu:,.0f} of {100 * host.cores:,} %"
        memory = f"{size(host.used)} of {size(host.total)}"
        return [
            past("cpu", cpu, history.get("cpu", ()), width),
            past("memory", memory, history.get("memory", ()), width),
            gauge("disk", host.disk_used, host.disk_total, width),
            [(fit("load", 10), "dim"), (f"{load} over 1, 5 and 15 minutes", "plain")],
            *stage_lines(self.stage_name, self.stage_memory, host),
        ]


class Devices(Vertical):
    """GPUs, the one under the cursor, processes, the host."""

    def compose(self) -> ComposeResult:
        """The panels; the host's keeps its height, whatever else there is."""
        yield DeviceList(id="gpus")
        yield DevicePanel(id="gpu")
        yield ProcessList(id="processes")
        yield HostPanel()

    def show(
        self,
        machine: MachineSample,
        processes: tuple[ProcessSample, ...],
        stage_name: str,
        stage_memory: Memory | None,
    ) -> None:
        """Shows a new sample."""
        host = self.query_one(HostPanel)
        host.stage_name, host.stage_memory, host.machine = stage_name, stage_memory, machine
        self.query_one(ProcessList).processes = processes
        self.set_class(not machine.gpus, "-no-gpu")
        self.query_one(DeviceList).machine = machine
        self._make_room()
        self._explain()

    def on_resize(self) -> None:
        """There is other room now."""
        self._make_room()

    def _make_room(self) -> None:
        """As many lines for the GPUs as there are, as long as something is seen of all else; what
        a stage takes comes before other processes, and after the GPUs."""
        devices, host = self.query_one(DeviceList), self.query_one(HostPanel)
        panel = self.query_one(DevicePanel)
        height = panel.styles.height if panel.display else None
        room = self.size.height - _FEWEST - (int(height.value) if height is not None else 0)
        wanted = devices.count + _AROUND
        devices.styles.height = max(_FEWEST, min(wanted, room - _HOST_FEWEST))
        host.styles.height = max(_HOST_FEWEST, min(host.needed, room - wanted))

    @on(Lines.Moved, "#gpus")
    def _explain(self) -> None:
        devices, panel = self.query_one(DeviceList), self.query_one(DevicePanel)
        panel.machine, panel.device = devices.machine, devices.selected


def _widths(width: int) -> tuple[int, int]:
    """Cells of the name and of the last minutes, of what the other columns leave."""
    left = max(0, width - _FIXED)
    name = min(left, max(_NAME, min(_NAME_MOST, left // 2)))
    return name, left - name


def _with(value: float | None, unit: str) -> str:
    return _MISSING if value is None else f"{value:.0f} {unit}"


def _share(part: str, whole: str) -> str:
    return _MISSING if _MISSING in (part, whole) else f"{part}/{whole}"


def _power(gpu: GpuSample) -> str:
    limit = "" if gpu.power_limit is None else f"/{gpu.power_limit:.0f}"
    return _MISSING if gpu.power is None else f"{gpu.power:.0f}{limit} W"
