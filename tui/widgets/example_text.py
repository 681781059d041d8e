"""An example's text, with what each of its tokens adds to the score."""

from __future__ import annotations

from textual.content import Content

from tui.readers.clean import clean_lines
from tui.readers.rankings import TokenScores

_CUT = 200_000
_STRONG, _WEAK = 0.5, 0.15
"""Shares of the strongest token from which a token is marked."""
_PIECE_SPACE = str.maketrans({"▁": " ", "Ġ": " ", "Ċ": "\n"})


def plain_text(text: str) -> Content:
    """The text as it is, made harmless."""
    return Content(clean_lines(text, _CUT))


def token_text(tokens: TokenScores) -> Content:
    """Every token in the colour of its sign; the stronger ones with the sign written before them.

    `⁺` adds to the score (a proponent), `⁻` takes from it; doubled where it is strong.
    """
    strongest = max((abs(score) for score in tokens.scores), default=0.0) or 1.0
    parts = [
        _token(token.translate(_PIECE_SPACE), score / strongest)
        for token, score in zip(tokens.tokens, tokens.scores, strict=False)
    ]
    return Content.assemble(*(part for token in parts for part in token))


def _token(token: str, share: float) -> list[Content | tuple[str, str]]:
    """One token; `share` is its score over the strongest one's, between -1 and 1."""
    text = clean_lines(token)
    if abs(share) < _WEAK:
        return [Content(text)]
    blank = " " if text.startswith(" ") else ""
    sign = ("⁺" if share > 0 else "⁻") * (2 if abs(share) >= _STRONG else 1)
    colour = "$success" if share > 0 else "$error"
    weight = "bold " if abs(share) >= _STRONG else ""
    return [Content(blank), (sign + text[len(blank) :], f"{weight}{colour}")]
