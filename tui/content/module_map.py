"""An example's score by layer and module: which parts of the model tie it to the prompt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from textual.content import Content

from tui.content.ink import fit
from tui.content.tint import tint
from tui.readers.clean import clean
from tui.readers.scores import ModuleScores

_LABEL, _LEAST, _MOST = 4, 5, 9
"""Cells of a layer's number; least and most cells of a module's share."""


def module_map(modules: ModuleScores, width: int, few_colours: bool) -> Content:
    """A line a layer, a cell a module, each with its share of all that adds and takes, in percent.

    The last column is the layer's sum, the last line the modules'. The figures carry the sign, so
    nothing is told by colour alone.
    """
    table = [[0.0 if math.isnan(v) else v for v in row] for row in modules.scores.tolist()]
    whole = sum(abs(value) for row in table for value in row) or 1.0
    shares = [[value / whole for value in row] for row in table]
    strongest = max((abs(share) for row in shares for share in row), default=0.0) or 1.0
    cells = max(_LEAST, min(_MOST, (width - _LABEL) // (len(modules.kinds) + 1)))

    def line(label: str, row: Sequence[float]) -> Content:
        parts = [(_percent(share, cells), tint(share / strongest, few_colours)) for share in row]
        total = (_percent(sum(row), cells), "bold")
        return Content.assemble((fit(label, _LABEL, right=True), "$secondary"), *parts, total)

    names = "".join(fit(_short(kind), cells, right=True) for kind in modules.kinds)
    head = Content.styled(" " * _LABEL + names + fit("sum", cells, right=True), "$secondary")
    sums = [sum(column) for column in zip(*shares, strict=True)]
    foot = Content.styled(fit("sum", _LABEL, right=True) + _row(sums, cells), "bold")
    rows = [line(str(n), row) for n, row in zip(modules.layers, shares, strict=True)]
    return Content("\n").join([head, *rows, foot])


def _short(kind: str) -> str:
    return clean(kind.removesuffix("_proj"))


def _row(shares: Iterable[float], cells: int) -> str:
    return "".join(_percent(share, cells) for share in shares)


def _percent(share: float, cells: int) -> str:
    figure = round(100 * share)
    return fit(f"{figure:+d}" if figure else "·", cells, right=True)
