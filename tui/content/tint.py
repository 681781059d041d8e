"""How much something adds or takes, as a colour, as a sign, or not at all."""

from __future__ import annotations

from typing import Literal

Manner = Literal["colour", "signs", "plain"]
MANNERS: tuple[Manner, ...] = ("colour", "signs", "plain")
_STRONG, _WEAK = 0.5, 0.15
"""Shares of the strongest from which something is marked, by a sign or one of sixteen colours."""
_DEEPEST = 50
"""Percent of a colour that the strongest has on its ground: with more, letters are hard to read."""


def tint(share: float, few_colours: bool) -> str:
    """The style of a share of the strongest, between -1 and 1: its ground, the deeper the stronger.

    Where there are only sixteen colours, which do not blend, the letters take the colour.
    """
    ink = "$pro" if share > 0 else "$con"
    if not few_colours:
        return f"on {ink} {round(_DEEPEST * abs(share))}%"
    if abs(share) < _WEAK:
        return ""
    return f"reverse {ink}" if abs(share) >= _STRONG else ink


def signed(share: float) -> str:
    """`⁺` for what adds, `⁻` for what takes, doubled where it is strong; nothing for the weak."""
    if abs(share) < _WEAK:
        return ""
    return ("⁺" if share > 0 else "⁻") * (2 if abs(share) >= _STRONG else 1)
