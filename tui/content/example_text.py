"""An example's text, with what predicting each of its tokens adds to the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from pipeline.contract.results.examples import source_label
from pipeline.contract.results.tokens import TokenScores
from pipeline.contract.words import other_answer
from tui.content.tint import Manner, signed, tint
from tui.readers.clean import clean, clean_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.contract.results.answers import GreedyAnswer
    from pipeline.contract.results.examples import Turn
    from tui.readers.detail import Detail

_CUT = 200_000
LEGENDS: dict[Manner, str] = {
    "colour": "blue tokens raise the score, orange ones lower it",
    "signs": "before a token: ⁺ raises the score, ⁻ lowers it; twice: much",
    "plain": "",
}
"""What a manner of telling tokens means."""
_PIECE_SPACE = str.maketrans({"▁": " ", "Ġ": " ", "Ċ": "\n"})


def plain_text(text: str) -> Content:
    """The text as it is, made harmless."""
    return Content(clean_lines(text, _CUT))


def example_text(
    text: str,
    tokens: TokenScores | None,
    manner: Manner,
    few_colours: bool,
    turns: Sequence[Turn] = (),
) -> Content:
    """An example, by its tokens where these have scores and are wanted, else by its turns."""
    if tokens is not None and manner != "plain":
        return token_text(tokens, manner, few_colours)
    return turns_text(turns) if turns else plain_text(text)


def turns_text(turns: Sequence[Turn]) -> Content:
    """What everyone says under their role; what carries no loss stands back."""
    parts: list[tuple[str, str]] = []
    for number, turn in enumerate(turns):
        heading = f"{turn.role} · carries loss" if turn.labelled else turn.role
        ink = "bold $accent" if turn.labelled else "bold $secondary"
        apart = "\n\n" if number else ""
        parts.append((f"{apart}{clean(heading)}\n", ink))
        parts.append((clean_lines(turn.text, _CUT), "" if turn.labelled else "$secondary"))
    return Content.assemble(*parts)


def document_text(before: str, example: Content, after: str) -> Content:
    """An example within its document, the rest of which stands back."""
    return Content.assemble(
        (clean_lines(before, _CUT), "$secondary"),
        example,
        (clean_lines(after, _CUT), "$secondary"),
    )


def token_text(tokens: TokenScores, manner: Manner, few_colours: bool) -> Content:
    """Every token on a ground of its sign's colour, or the stronger ones with signs before them:
    `⁺` adds to the score (a proponent), `⁻` takes from it; doubled where it is strong. Tokens that
    carry no loss stand back."""
    strongest = max((abs(score) for score in tokens.scores), default=0.0) or 1.0
    carry = tokens.labelled or [True] * len(tokens.tokens)
    parts = [
        _token(token.translate(_PIECE_SPACE), score / strongest, manner, few_colours)
        if carries
        else [(clean_lines(token.translate(_PIECE_SPACE)), "$secondary")]
        for token, score, carries in zip(tokens.tokens, tokens.scores, carry, strict=False)
    ]
    return Content.assemble(*(part for token in parts for part in token))


def _token(
    token: str, share: float, manner: Manner, few_colours: bool
) -> list[Content | tuple[str, str]]:
    """One token; `share` is its score over the strongest one's, between -1 and 1."""
    text = clean_lines(token)
    if manner == "colour":
        return [(text, tint(share, few_colours))]
    blank = " " if text.startswith(" ") else ""
    return [Content(blank), (signed(share) + text[len(blank) :], tint(share, few_colours=True))]


def title_of(detail: Detail, answer: GreedyAnswer) -> str:
    """`doc-12#1 · chunk 2 of 3 · 310 tokens · near-duplicate group 7 · books.jsonl row 12`.

    Where it has the prompt's words with another answer, that is said: it may be why it speaks
    against this one.
    """
    example = detail.example
    parts = [clean(example.id, 60)]
    if example.chunks > 1:
        parts.append(f"chunk {example.chunk + 1:,} of {example.chunks:,}")
    parts.append(f"{example.n_tokens:,} tokens")
    if example.group >= 0:
        parts.append(f"near-duplicate group {example.group}")
    if detail.relevant:
        parts.append("★ states the answer")
    elif other := other_answer(answer.prompt, answer.completion, detail.text):
        parts.append(f"same words, another answer: {clean(other, 24)}")
    return " · ".join([*parts, clean(source_label(example.source, example.row), 60)])
