"""The machine at a glance: every GPU, what the stage itself reports, the host."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.reactive import reactive
from textual.strip import Strip

from tui.content.ink import fit
from tui.readers.clean import clean
from tui.widgets.gauges import (
    Line,
    compact_gpu,
    gpu_lines,
    gpu_title,
    host_lines,
    past,
    stage_lines,
)
from tui.widgets.inked import Inked
from tui.widgets.scrolling import TextPane

if TYPE_CHECKING:
    from pipeline.contract.gpus import GpuSample
    from pipeline.contract.run.events import Memory
    from tui.readers.hardware import MachineSample


class MachinePanel(Inked):
    """Bars with their figures, GPUs first; without a GPU it says why. What does not fit in full
    is shown in one line a GPU."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    machine: reactive[MachineSample | None] = reactive(None, repaint=False)
    stage_name: reactive[str] = reactive("", repaint=False)
    stage_memory: reactive[Memory | None] = reactive(None, repaint=False)
    """As the stage itself reported it last."""

    def on_mount(self) -> None:
        """Names the panel."""
        self.entitle("Memory and load")

    def watch_machine(self) -> None:
        """A new sample."""
        note = ""
        if self.machine and self.machine.no_gpu and self.size:
            lines = self._lines(self.machine, self.size.width - 2)
            note = "no GPU" if len(lines) > self.size.height else ""
        self.entitle("Memory and load", note)
        self.refresh_changed()

    def on_resize(self) -> None:
        """There may be room for more now."""
        self.watch_machine()

    def draw_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        lines = self._lines(self.machine, width - 2) if self.machine else []
        return self.ink_strip([(" ", "plain"), *lines[y]] if y < len(lines) else [], width)

    def _lines(self, machine: MachineSample, width: int) -> list[Line]:
        below = stage_lines(self.stage_name, self.stage_memory, machine.host)
        below += host_lines(machine, width)
        below += [[(line, "dim")] for line in textwrap.wrap(clean(machine.no_gpu), width)]
        full = [line for gpu in machine.gpus for line in _titled(gpu, machine, width)]
        if len(full) + len(below) <= self.size.height:
            return full + below
        return [compact_gpu(gpu, machine.history, width) for gpu in machine.gpus] + below


def _titled(gpu: GpuSample, machine: MachineSample, width: int) -> list[Line]:
    return [[(fit(gpu_title(gpu), width), "strong")], *gpu_lines(gpu, machine.history, width)]


class DevicePanel(Inked):
    """One GPU, with its last minutes."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    def __init__(self, uuid: str) -> None:
        super().__init__()
        self.uuid = uuid

    machine: reactive[MachineSample | None] = reactive(None, repaint=False)

    def watch_machine(self) -> None:
        """A new sample."""
        if gpu := self._gpu:
            self.entitle(gpu_title(gpu), clean(gpu.uuid, 40))
        self.refresh_changed()

    @property
    def _gpu(self) -> GpuSample | None:
        gpus = self.machine.gpus if self.machine else ()
        return next((gpu for gpu in gpus if gpu.uuid == self.uuid), None)

    def draw_line(self, y: int) -> Strip:
        """One line of the screen."""
        width, gpu = self.size.width, self._gpu
        lines: list[Line] = [[(" gone: the driver does not list it any more", "warn")]]
        if gpu and self.machine:
            lines = gpu_lines(gpu, self.machine.history, width - 2)
        return self.ink_strip([(" ", "plain"), *lines[y]] if y < len(lines) else [], width)


class HostPanel(Inked):
    """The host and the stage at work, with their last minutes."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    machine: reactive[MachineSample | None] = reactive(None, repaint=False)
    stage_name: reactive[str] = reactive("", repaint=False)
    stage_memory: reactive[Memory | None] = reactive(None, repaint=False)

    def on_mount(self) -> None:
        """Names the panel."""
        self.entitle("Host")

    def watch_machine(self) -> None:
        """A new sample."""
        self.refresh_changed()

    def draw_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        lines = self._lines(self.machine, width - 2) if self.machine else []
        return self.ink_strip([(" ", "plain"), *lines[y]] if y < len(lines) else [], width)

    def _lines(self, machine: MachineSample, width: int) -> list[Line]:
        history = machine.history
        lines = stage_lines(self.stage_name, self.stage_memory, machine.host)
        memory, cpu = host_lines(machine, width)
        lines += [memory, past("", "", history.get("memory", ()), width)]
        lines += [cpu, past("", "", history.get("cpu", ()), width)]
        return lines + [[(line, "warn")] for line in textwrap.wrap(clean(machine.no_gpu), width)]


class Devices(TextPane):
    """A panel for every GPU, and one for the host."""

    def compose(self) -> ComposeResult:
        """The host; the GPUs come with the first sample."""
        yield HostPanel()

    async def show(
        self, machine: MachineSample, stage_name: str, stage_memory: Memory | None
    ) -> None:
        """Shows a new sample; a GPU that was not there before gets its panel."""
        host = self.query_one(HostPanel)
        host.stage_name, host.stage_memory, host.machine = stage_name, stage_memory, machine
        shown = {panel.uuid for panel in self.query(DevicePanel)}
        new = [DevicePanel(gpu.uuid) for gpu in machine.gpus if gpu.uuid not in shown]
        if new:
            await self.mount_all(new, before=host)
        for panel in self.query(DevicePanel):
            panel.machine = machine
