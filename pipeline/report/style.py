"""How figures look: colours that differ in lightness too, and SVG that follows the page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType, RcKeyType

COLORS = ("#2b7fd0", "#d9622b", "#2a9d76", "#9a63c9", "#b8860b", "#c04a7d", "#6f7d8c")
"""Told apart on white and on black; `DASHES` tells them apart in greyscale."""
DASHES: tuple[LineStyleType, ...] = (
    "-",
    "--",
    ":",
    "-.",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
    (0, (8, 3)),
)
PALE = "#9aa4ae"

_INK = "#010203"  # replaced by the page's own text colour
_INK_CSS = (
    "<style>svg{color:#1d2730;background:none}"
    "@media(prefers-color-scheme:dark){svg{color:#d7dee5}}</style>"
)


@contextmanager
def figure_style(ink: str = "#1d2730") -> Iterator[None]:
    """matplotlib's settings for every figure of the project."""
    settings: dict[RcKeyType, Any] = {
        "font.family": ["DejaVu Sans"],
        "font.size": 8,
        "text.color": ink,
        "axes.titlesize": 9,
        "axes.labelsize": 8,
        "axes.labelcolor": ink,
        "axes.edgecolor": ink,
        "axes.linewidth": 0.6,
        "lines.linewidth": 1.5,
        "xtick.labelsize": 7,
        "xtick.color": ink,
        "ytick.labelsize": 7,
        "ytick.color": ink,
        "svg.fonttype": "none",
        "svg.hashsalt": "headwater",  # the same figure is the same file
    }
    with rc_context(settings):
        yield


@contextmanager
def page_figure_style() -> Iterator[None]:
    """As `figure_style`, for figures that `page_svg` writes."""
    with figure_style(_INK):
        yield


def page_svg(figure: Figure) -> str:
    """SVG without a background whose text takes a light or a dark page's colour."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue().replace(_INK, "currentColor")
    text = text[text.index("<svg") :]
    text = text.replace("DejaVu Sans", "system-ui, sans-serif").replace(
        "'system-ui, sans-serif'", "system-ui, sans-serif"
    )
    return re.sub(r"(<svg[^>]*>)", lambda match: match[1] + _INK_CSS, text, count=1)


def framed(axes: Axes) -> None:
    """Leaves the two axes lines that are read from."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color=PALE, alpha=0.25, lw=0.5)
