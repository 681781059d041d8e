"""Colours: one accent on a quiet ground, and the same for terminals of sixteen colours."""

from __future__ import annotations

from collections.abc import Iterable

from textual.theme import BUILTIN_THEMES, Theme

_SERIES = ("#56b4e9", "#e69f00", "#3cb371", "#cc79a7", "#b8a62e", "#d55e00", "#8c8cf0", "#a0a0a0")
"""Told apart by most people with a colour blindness: after Okabe and Ito, "Color universal design"
(2008), with enough weight on dark and on light ground."""
_SERIES_16 = ("bright_blue", "yellow", "green", "magenta", "cyan", "red", "blue", "bright_black")


def _series(colours: Iterable[str]) -> dict[str, str]:
    return {f"series-{number}": colour for number, colour in enumerate(colours)}


DEFAULTS = {
    "cursor-line-style": "none",
    "pro": "#56b4e9",  # what adds to a score; blue and orange are told apart by everybody
    "con": "#e69f00",
    **_series(_SERIES),
}
"""Variables of ours, for themes that do not know them."""

HEADWATER = Theme(
    name="headwater",
    primary="#4fb3c8",
    secondary="#7d93a8",
    accent="#5cc4d6",
    foreground="#d3dce4",
    background="#10151a",
    surface="#151b21",
    panel="#27323c",
    success="#86c98b",
    warning="#e3b566",
    error="#ee8478",
    dark=True,
    variables={
        "border": "#34424e",
        "footer-background": "#10151a",
        "footer-key-foreground": "#5cc4d6",
        "footer-description-foreground": "#8c9aa8",
        "input-selection-background": "#5cc4d6 35%",
    },
)

SIXTEEN = Theme(
    name="headwater-16",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_bright_black",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    dark=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        **_series(f"ansi_{name}" for name in _SERIES_16),
        "pro": "ansi_bright_blue",
        "con": "ansi_yellow",
        "border": "ansi_bright_black",
        "cursor-line-style": "reverse",
        "footer-background": "ansi_default",
        "footer-key-foreground": "ansi_cyan",
        "footer-description-foreground": "ansi_default",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_cyan",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-cursor-text-style": "none",
        "input-selection-background": "ansi_cyan",
        "input-selection-foreground": "ansi_black",
        "screen-selection-background": "ansi_cyan",
        "screen-selection-foreground": "ansi_black",
    },
)
