"""The figures of spectra as a table: of one module, of a layer, of two side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual.content import Content

from tui.readers.clean import clean
from tui.readers.format import tick
from tui.readers.spectra import SYMBOLS, Figures, Module, Overview, Place
from tui.widgets.ink import fit

_NAMES = {
    "effective_rank": "effective rank",
    "participation_ratio": "participation ratio",
    "count": "eigenvalues",
    "rank": "above round-off",
    "count_90": "hold 90 % of the sum",
    "count_99": "hold 99 % of the sum",
    "largest": "largest",
    "mean": "mean",
    "smallest": "smallest",
    "condition": "largest ÷ smallest",
    "negative": "below 0",
    "non_finite": "not finite",
}
_OF_LAYERS = ("effective_rank", "mean", "largest")
_LABEL, _NUMBER, _WIDEST = 20, 12, 18
Row = tuple[str, Sequence[float | None]]


def figures_text(
    overview: Overview, strategy: str, kind: str, place: Place, other: Place | None
) -> Content:
    """What the module table says of the selected place, and of the one it is compared with."""

    def found(module: Module | None, of: str = kind) -> Figures | None:
        return overview.figures.get((strategy, module.name, of)) if module else None

    if place.is_layer:
        return _of_layer(place, other, found)
    module = place.modules[0]
    if other and other != place:
        pair = (found(module), found(other.beside(module)))
        return _two(place.title, other.title, [(_NAMES[n], _both(pair, n)) for n in _NAMES])
    kinds = overview.kinds(strategy)
    columns = [found(module, of) for of in kinds]
    rows = [(title, [f[name] if f else None for f in columns]) for name, title in _NAMES.items()]
    meanings = [
        Content.assemble((f"\n{SYMBOLS[of]}: ", "$secondary"), clean(figures.meaning, 200))
        for of, figures in zip(kinds, columns, strict=True)
        if figures
    ]
    return Content.assemble(_table([SYMBOLS[of] for of in kinds], rows), *meanings)


def _of_layer(
    place: Place, other: Place | None, found: Callable[[Module | None], Figures | None]
) -> Content:
    """Every module of a layer; beside another layer, the effective ranks of both."""
    if other and other != place:
        rows = [
            (module.short, _both((found(module), found(other.beside(module))), "effective_rank"))
            for module in place.modules
        ]
        title = Content.styled("effective rank\n", "bold")
        return Content.assemble(title, _two(place.title, other.title, rows))
    rows = [
        (module.short, [figures[name] if figures else None for name in _OF_LAYERS])
        for module in place.modules
        for figures in [found(module)]
    ]
    return _table([_NAMES[name] for name in _OF_LAYERS], rows)


def _both(pair: tuple[Figures | None, Figures | None], name: str) -> list[float | None]:
    return [figures[name] if figures else None for figures in pair]


def _two(here: str, there: str, rows: Iterable[Row]) -> Content:
    """Two columns and their ratio."""
    told = []
    for title, (first, second) in rows:
        ratio = first / second if first is not None and second else None
        told.append((title, [first, second, ratio]))
    return _table([here, f"◆ {there}", "ratio"], told)


def _table(titles: Sequence[str], rows: Iterable[Row]) -> Content:
    width = min(_WIDEST, max([_NUMBER, *(len(title) + 2 for title in titles)]))
    head = " " * _LABEL + "".join(fit(f"  {clean(title)}", width, right=True) for title in titles)
    lines = [Content.styled(head, "$secondary")]
    for title, numbers in rows:
        cells = ("–" if n is None else tick(n) for n in numbers)
        told = "".join(fit(cell, width, right=True) for cell in cells)
        lines.append(Content.assemble((fit(clean(title), _LABEL), "$secondary"), told))
    return Content("\n").join(lines)
