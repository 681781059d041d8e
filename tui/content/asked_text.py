"""What a worker says of a question, for reading."""

from __future__ import annotations

from textual.content import Content

from pipeline.contract.results.examples import source_label
from pipeline.contract.run.replies import (
    NOT_COMPARABLE,
    AnswerTokens,
    AskedExample,
    ExampleList,
    PromptLoss,
)
from pipeline.contract.settings.schema import Settings
from tui.readers.clean import clean
from tui.readers.format import score

_SHOWN = 60
"""Tokens of an answer whose probabilities are told."""


def title_of(row: AskedExample) -> str:
    """`1 · doc-7#2 · of doc-7 · books.jsonl row 12 · raw score +96.1`."""
    part = row.document_id != row.example_id
    names = [row.example_id, *[f"of {row.document_id}"] * part, source_label(row.source, row.row)]
    parts = [str(row.rank), *(clean(name, 60) for name in names)]
    return " · ".join([*parts, f"raw score {score(row.raw)}"])


def meaning(settings: Settings) -> Content:
    """What a score says, as the run ranks."""
    definition = "how far the answer's loss falls if the example weighs more"
    if settings.scores.normalize:
        definition += ", over √self-influence"
    return Content.assemble(
        ("score: ", "$secondary"), f"{definition}; ", ("+ taught it", "$pro"), ", ",
        ("− against it", "$con"),
    )  # fmt: skip


def probabilities(answer: AnswerTokens) -> Content:
    """`probability of each token: Tellin 93%  , 61%  by 12%`."""
    parts: list[tuple[str, str]] = [("probability of each token: ", "$secondary")]
    shown = zip(answer.tokens[:_SHOWN], answer.probabilities, strict=False)
    for token, share in shown:
        # a letter that is cut in two is the last of its tokens' text: the others have none
        parts += [
            (clean(token.strip()) or ("␣" if token else "…"), "$accent"),
            (f" {_percent(share)}  ", "$foreground"),
        ]
    if len(answer.tokens) > _SHOWN:
        parts.append((f"… {len(answer.tokens) - _SHOWN:,} more", "$secondary"))
    return Content.assemble(*parts)


def _percent(share: float) -> str:
    """`<1%` and `>99%` where rounding would say none or all."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def likeness(found: PromptLoss | None) -> Content:
    """The prompt beside the corpus, and what its scores may not be compared with."""
    if found is None:
        return Content.styled(NOT_COMPARABLE, "$secondary")
    ink = "$warning" if found.is_unlike else "$secondary"
    return Content.assemble((found.described(), ink), (f"; {NOT_COMPARABLE}", "$secondary"))


def scored(found: ExampleList) -> str:
    """`1,000 of 1,425 scored exactly`."""
    if not found.exact:
        return f"{found.scored:,} scored by the index; the exact list follows"
    return f"{found.scored:,} of {found.examples:,} scored exactly, the best are shown"
