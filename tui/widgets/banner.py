"""The first line of every screen: where one is, and how the run stands."""

from __future__ import annotations

from rich.cells import cell_len
from textual.reactive import reactive
from textual.strip import Strip

from tui.content.ink import Ink, Part, fit
from tui.readers.clean import clean
from tui.widgets.inked import Inked


class Banner(Inked):
    """`headwater › demo › rankings                 ● train running`."""

    trail: reactive[tuple[str, ...]] = reactive(())
    standing: reactive[tuple[str, Ink]] = reactive(("", "dim"), repaint=False)
    news: reactive[str] = reactive("")
    """Stands in place of how the run stands."""
    progress: reactive[str] = reactive("", repaint=False)
    """Of something that the program itself is doing; stands before both."""

    def watch_progress(self) -> None:
        """It has gone on, or is done."""
        self.refresh_changed()

    def watch_standing(self) -> None:
        """The run stands otherwise."""
        self.refresh_changed()

    async def on_click(self) -> None:
        """One step back."""
        if self.screen.check_action("leave", ()):
            await self.screen.run_action("leave")

    def draw_line(self, y: int) -> Strip:
        """The line."""
        width = self.size.width
        parts: list[Part] = [(" headwater", "accent")]
        for part in self.trail:
            parts += [(" › ", "dim"), (clean(part, 60), "strong")]
        used = sum(cell_len(text) for text, _ in parts)
        words, ink = self.standing
        own = self.progress or self.news
        status = " " + fit(f"{own or words} ", max(0, width - used - 1), right=True)
        parts.append((status, "accent" if own else ink))
        return self.ink_strip(parts, width)
