"""An example's text, with what predicting each of its tokens adds to the score."""

from __future__ import annotations

from textual.content import Content

from tui.readers.clean import clean_lines
from tui.readers.rankings import TokenScores
from tui.widgets.tint import Manner, signed, tint

_CUT = 200_000
_PIECE_SPACE = str.maketrans({"▁": " ", "Ġ": " ", "Ċ": "\n"})


def plain_text(text: str) -> Content:
    """The text as it is, made harmless."""
    return Content(clean_lines(text, _CUT))


def example_text(
    text: str, tokens: TokenScores | None, manner: Manner, few_colours: bool
) -> Content:
    """An example, by its tokens where these have scores and are wanted."""
    if tokens is None or manner == "plain":
        return plain_text(text)
    return token_text(tokens, manner, few_colours)


def document_text(before: str, example: Content, after: str) -> Content:
    """An example within its document, the rest of which stands back."""
    return Content.assemble(
        (clean_lines(before, _CUT), "$secondary"),
        example,
        (clean_lines(after, _CUT), "$secondary"),
    )


def token_text(tokens: TokenScores, manner: Manner, few_colours: bool) -> Content:
    """Every token on a ground of its sign's colour, or the stronger ones with signs before them:
    `⁺` adds to the score (a proponent), `⁻` takes from it; doubled where it is strong."""
    strongest = max((abs(score) for score in tokens.scores), default=0.0) or 1.0
    parts = [
        _token(token.translate(_PIECE_SPACE), score / strongest, manner, few_colours)
        for token, score in zip(tokens.tokens, tokens.scores, strict=False)
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
