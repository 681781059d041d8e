"""The ranked examples of one prompt."""

from __future__ import annotations

from textual.reactive import reactive

from tui.readers.clean import clean
from tui.readers.format import score
from tui.readers.rankings import Ranked
from tui.widgets.ink import Part, fit
from tui.widgets.lines import Lines

_CUT = 400
_FIXED = 4 + 11 + 2 + 2 + 7 + 6
_ID_WIDTH = (10, 20)
"""Least and most cells of an example's id."""


class RankingTable(Lines):
    """One line an example: rank, score, ★ where it states the answer, id, tokens, group, text."""

    examples: reactive[tuple[Ranked, ...]] = reactive(())
    _id_width = _ID_WIDTH[0]

    @property
    def selected(self) -> Ranked | None:
        """The example under the cursor."""
        return self.examples[self.cursor] if self.cursor < len(self.examples) else None

    def watch_examples(self, examples: tuple[Ranked, ...]) -> None:
        """Another ranking, or another part of one."""
        self._id_width = min(
            _ID_WIDTH[1], max([_ID_WIDTH[0], *(len(e.example_id) + 1 for e in examples)])
        )
        self.count = len(examples)
        self.cursor = 0
        self.refresh()

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        names = fit("rank", 4, right=True) + fit("score", 11, right=True) + "    "
        names += (
            fit("example", self._id_width)
            + fit("tokens", 7, right=True)
            + fit("group", 6, right=True)
        )
        return [(fit(names + "  text", width), "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`  1   0.4213  ★ doc-0123   31   –  Mara Voss was born …`."""
        example = self.examples[index]
        group = str(example.duplicate_group) if example.duplicate_group >= 0 else "–"
        text = max(0, width - _FIXED - self._id_width - 2)
        return [
            (fit(str(example.rank), 4, right=True), "dim"),
            (fit(score(example.score), 11, right=True), "good" if example.score > 0 else "bad"),
            ("  ", "plain"),
            ("★ " if example.relevant else "  ", "warn"),
            (fit(clean(example.example_id, _CUT), self._id_width), "plain"),
            (fit(str(example.n_tokens), 7, right=True), "dim"),
            (fit(group, 6, right=True), "dim"),
            ("  " + fit(clean(example.text, _CUT), text), "plain"),
        ]
