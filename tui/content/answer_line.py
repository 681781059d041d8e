"""A prompt, the answer that is traced, and what the model itself says."""

from __future__ import annotations

from textual.content import Content

from pipeline.contract.results.answers import GreedyAnswer
from tui.readers.clean import clean

_CUT = 1000
_NOT_TRACED = " · traced is the answer above"


def answer_text(answer: GreedyAnswer) -> Content:
    """`Mara Voss was born in → Tellin`, what that is set against, and below it the model's own
    words; where these are others, that they are not what was traced."""
    parts: list[Content | str | tuple[str, str]] = [
        clean(answer.prompt, _CUT),
        (" → ", "$secondary"),
        (clean(answer.completion.strip(), _CUT), "bold $accent"),
    ]
    if answer.set_against is not None:
        parts += [(" rather than ", "$secondary"), clean(answer.set_against.strip(), _CUT)]
    if answer.correct is not None:
        mark, colour = ("✓", "$success") if answer.correct else ("✗", "$error")
        parts += [
            ("\nthe model says ", "$secondary"),
            clean(answer.generated.strip(), _CUT) or "nothing",
            (f" {mark}", colour),
        ]
        parts += [] if answer.correct else [(_NOT_TRACED, "$secondary")]
    return Content.assemble(*parts)
