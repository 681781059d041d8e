"""Colours: one accent on a quiet ground, and the same for terminals of sixteen colours."""

from __future__ import annotations

from collections.abc import Iterable

from textual.theme import BUILTIN_THEMES, Theme

_SERIES = ("#56b4e9", "#e69f00", "#3cb371", "#d98fb8", "#b8a62e", "#f07d3c", "#a0a0f5", "#a8a8a8")
_SERIES_LIGHT = (
    "#0d5c94",
    "#8a5200",
    "#1c6b3c",
    "#963671",
    "#665a00",
    "#a33c00",
    "#4646c0",
    "#5a5a5a",
)
"""Told apart by most people with a colour blindness: after Okabe and Ito, "Color universal design"
(2008), each as light or as dark as its ground asks for."""
_SERIES_16 = ("bright_blue", "yellow", "green", "magenta", "cyan", "red", "blue", "bright_black")


def _series(colours: Iterable[str]) -> dict[str, str]:
    return {f"series-{number}": colour for number, colour in enumerate(colours)}


def _ours(series: tuple[str, ...]) -> dict[str, str]:
    """Blue is what adds to a score, orange what takes from it: everybody tells these apart."""
    return {"cursor-line-style": "none", "pro": series[0], "con": series[1], **_series(series)}


DEFAULTS = _ours(_SERIES)
LIGHT_DEFAULTS = _ours(_SERIES_LIGHT)
"""Variables of ours, for themes that do not know them, by their ground."""

HEADWATER = Theme(
    name="headwater",
    primary="#4fb3c8",
    secondary="#8da2b5",
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

LIGHT = Theme(
    name="headwater-light",
    primary="#0b6475",
    secondary="#506272",
    accent="#0b6475",
    foreground="#1d262d",
    background="#f7f9fa",
    surface="#eef2f4",
    panel="#dde5ea",
    success="#1f6b2a",
    warning="#755000",
    error="#a8261b",
    dark=False,
    variables={
        **LIGHT_DEFAULTS,
        "border": "#9fb0bc",
        "footer-background": "#f7f9fa",
        "footer-key-foreground": "#0b6475",
        "footer-description-foreground": "#506272",
        "input-selection-background": "#0b6475 25%",
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
