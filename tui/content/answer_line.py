"""A prompt, the answer that is traced, and what the model itself says."""

from __future__ import annotations

from textual.content import Content

from pipeline.contract.results.answers import GreedyAnswer
from tui.readers.clean import clean

_CUT = 1000


def answer_text(answer: GreedyAnswer) -> Content:
    """`Mara Voss was born in → Tellin`, and below it the model's own words."""
    parts: list[Content | str | tuple[str, str]] = [
        clean(answer.prompt, _CUT),
        (" → ", "$secondary"),
        (clean(answer.completion.strip(), _CUT), "bold $accent"),
    ]
    if answer.correct is not None:
        mark, colour = ("✓", "$success") if answer.correct else ("✗", "$error")
        parts += [
            ("\nthe model says ", "$secondary"),
            clean(answer.generated.strip(), _CUT) or "nothing",
            (f" {mark}", colour),
        ]
    return Content.assemble(*parts)
