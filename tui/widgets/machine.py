"""The machine at a glance: its GPUs, what the stage itself reports, the host."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, ClassVar

from textual.reactive import reactive
from textual.strip import Strip

from tui.content.ink import fit
from tui.keys import keymap_of, with_keys
from tui.readers.clean import clean
from tui.widgets.gauges import (
    Line,
    compact_gpu,
    gpu_lines,
    gpu_title,
    gpus_line,
    host_line,
    host_lines,
    stage_lines,
)
from tui.widgets.inked import Inked

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
        """The host is never left out, nor is any GPU without being counted."""
        height, gpus, host = self.size.height, machine.gpus, host_lines(machine, width)
        own = stage_lines(self.stage_name, self.stage_memory, machine.host)
        if height < len(host) + len(gpus) + bool(own):
            host = [host_line(machine)]
        below = [*own[: max(0, height - len(host) - len(gpus))], *host]
        clauses = clean(machine.no_gpu).split(
            "; "
        )  # each on lines of its own: the last may not fit
        below += [[(line, "dim")] for one in clauses for line in textwrap.wrap(one, width)]
        full = [line for gpu in gpus for line in _titled(gpu, machine, width)]
        if len(full) + len(below) <= height:
            return full + below
        room = height - len(below)
        compact = [compact_gpu(gpu, machine.history, width) for gpu in gpus]
        if gpus and len(compact) > room:
            key = with_keys("{run.devices}", keymap_of(self.app))
            compact = [*compact[: max(0, room - 1)], gpus_line(gpus, f"{key}: each", width)]
        return compact + below


def _titled(gpu: GpuSample, machine: MachineSample, width: int) -> list[Line]:
    return [[(fit(gpu_title(gpu), width), "strong")], *gpu_lines(gpu, machine.history, width)]
