"""A prompt, the answer that is traced, and what the model itself says."""

from __future__ import annotations

from textual.content import Content

from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.results.spans import TextTrace
from tui.content.origin_text import marked
from tui.readers.clean import clean

_CUT = 1000
_NOT_TRACED = " · traced is the answer above"


def answer_text(answer: GreedyAnswer, trace: TextTrace | None = None) -> Content:
    """`Mara Voss was born in → Tellin`, what that is set against, and below it the model's own
    words; where these are others, that they are not what was traced. What the trace of the answer
    says is copied is underlined, the prompt's last words with it."""
    prompt, completion = answer.prompt, answer.completion
    begins = trace.begins if trace else 0
    blanks = len(completion) - len(completion.lstrip())
    parts: list[Content | str | tuple[str, str]] = [
        *marked(_shortened(prompt), begins - len(prompt), trace),
        (" → ", "$secondary"),
        *marked(_shortened(completion.strip()), begins + blanks, trace, "bold $accent"),
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


def _shortened(text: str) -> str:
    """Its first thousand letters."""
    return text if len(text) <= _CUT else f"{text[: _CUT - 1]}…"
