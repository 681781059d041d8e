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
    "participation_ratio": "participation",
    "count": "eigenvalues",
    "rank": "above round-off",
    "count_90": "90 % of the sum",
    "count_99": "99 % of the sum",
    "largest": "largest",
    "mean": "mean",
    "smallest": "smallest",
    "condition": "condition",
    "negative": "below 0",
    "non_finite": "not finite",
}
_OF_LAYERS = ("effective_rank", "mean", "largest")
_LABEL, _NARROWEST, _WIDEST = 16, 8, 21
Row = tuple[str, Sequence[float | None]]


def figures_text(
    overview: Overview, chosen: tuple[str, str], place: Place, other: Place | None, width: int
) -> Content:
    """What the module table says of the selected place, and of the one it is compared with.

    `chosen` is the strategy and the kind; the table fits into `width` cells.
    """
    strategy, kind = chosen

    def found(module: Module | None, of: str = kind) -> Figures | None:
        return overview.figures.get((strategy, module.name, of)) if module else None

    if place.is_layer:
        return _of_layer(place, other, found, width)
    module = place.modules[0]
    if other and other != place:
        pair = (found(module), found(other.beside(module)))
        rows = [(title, _both(pair, name)) for name, title in _NAMES.items()]
        return _two(place.title, other.title, rows, width)
    kinds = overview.kinds(strategy)
    columns = [found(module, of) for of in kinds]
    table = [(title, [f[name] if f else None for f in columns]) for name, title in _NAMES.items()]
    longest = max(len(SYMBOLS[of]) for of in kinds)
    room = _cells(width, len(kinds)) > longest
    titles = [SYMBOLS[of] if room else SYMBOLS[of][0].upper() for of in kinds]
    meanings = [
        Content.assemble((f"\n{title}: ", "$secondary"), clean(figures.meaning, 200))
        for title, figures in zip(titles, columns, strict=True)
        if figures
    ]
    return Content.assemble(_table(titles, table, width), *meanings)


def _of_layer(
    place: Place,
    other: Place | None,
    found: Callable[[Module | None], Figures | None],
    width: int,
) -> Content:
    """Every module of a layer; beside another layer, the effective ranks of both."""
    if other and other != place:
        rows = [
            (module.short, _both((found(module), found(other.beside(module))), "effective_rank"))
            for module in place.modules
        ]
        title = Content.styled("effective rank\n", "bold")
        return Content.assemble(title, _two(place.title, other.title, rows, width))
    rows = [
        (module.short, [figures[name] if figures else None for name in _OF_LAYERS])
        for module in place.modules
        for figures in [found(module)]
    ]
    return _table([_NAMES[name] for name in _OF_LAYERS], rows, width)


def _both(pair: tuple[Figures | None, Figures | None], name: str) -> list[float | None]:
    return [figures[name] if figures else None for figures in pair]


def _two(here: str, there: str, rows: Iterable[Row], width: int) -> Content:
    """Two columns and their ratio."""
    told = []
    for title, (first, second) in rows:
        ratio = first / second if first is not None and second else None
        told.append((title, [first, second, ratio]))
    return _table([here, f"◆ {there}", "ratio"], told, width)


def _cells(width: int, columns: int) -> int:
    return max(_NARROWEST, min(_WIDEST, (width - _LABEL) // columns))


def _table(titles: Sequence[str], rows: Iterable[Row], width: int) -> Content:
    cells = _cells(width, len(titles))
    head = " " * _LABEL + "".join(fit(f" {clean(title)}", cells, right=True) for title in titles)
    lines = [Content.styled(head, "$secondary")]
    for title, numbers in rows:
        texts = ("–" if n is None else tick(n) for n in numbers)
        told = "".join(fit(f" {text}", cells, right=True) for text in texts)
        lines.append(Content.assemble((fit(clean(title), _LABEL), "$secondary"), told))
    return Content("\n").join(lines)
