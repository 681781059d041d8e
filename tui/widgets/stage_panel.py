"""The selected stage: what it does, needs, took and made, and what can be done next."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keys import keymap_of, with_keys
from tui.widgets.inked import Inked
from tui.widgets.scrolling import Scrolling

if TYPE_CHECKING:
    from pipeline.contract.run.status import StageStatus
    from tui.content.stage_lines import Line
    from tui.readers.stage_results import StageResults
    from tui.readers.workers import SeenWorker


class StagePanel(ScrollView, Inked, Scrolling, can_focus=True):
    """The first lines say most: on a small screen there is room for two."""

    DEFAULT_CLASSES: ClassVar[str] = "panel"

    stages: reactive[tuple[StageStatus, ...]] = reactive((), repaint=False)
    stage: reactive[str] = reactive("", repaint=False)
    """The name of the selected one."""
    results: reactive[StageResults | None] = reactive(None, repaint=False)
    warnings: reactive[tuple[str, ...]] = reactive((), repaint=False)
    sharers: reactive[tuple[SeenWorker, ...]] = reactive((), repaint=False)
    """Who shares the stage's work."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []

    def watch_stages(self) -> None:
        """New states."""
        self._write()

    def watch_stage(self) -> None:
        """Another stage: from its first line on."""
        self.scroll_home(animate=False)
        self._write()

    def watch_results(self) -> None:
        """Other results."""
        self._write()

    def watch_warnings(self) -> None:
        """Other warnings."""
        self._write()

    def watch_sharers(self) -> None:
        """Others, or others' parts."""
        self._write()

    def on_resize(self) -> None:
        """Lines break elsewhere."""
        self._write()

    def _write(self) -> None:
        status = next((one for one in self.stages if one.stage == self.stage), None)
        if status is None:
            return
        from tui.content.stage_lines import stage_lines  # after the first paint

        keymap, width = keymap_of(self.app), self.size.width - 2
        self._lines = stage_lines(
            status, self.stages, self.results, self.warnings, self.sharers, keymap, max(0, width)
        )
        self.virtual_size = Size(0, len(self._lines))
        self.entitle(f"Stage · {self.stage}", with_keys("{run.page.1} its log", keymap))
        self.refresh_changed()

    def draw_line(self, y: int) -> Strip:
        """One line of the screen."""
        width, index = self.scrollable_content_region.width, self.scroll_offset.y + y
        line = self._lines[index] if index < len(self._lines) else []
        return self.ink_strip([(" ", "plain"), *line], width)
