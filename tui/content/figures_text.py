"""The figures of spectra as a table: of one module, of a layer, of two side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from textual.content import Content

from pipeline.contract.results.spectra import SYMBOLS, SpectrumStatistics
from tui.content.ink import fit
from tui.readers.clean import clean
from tui.readers.format import tick
from tui.readers.spectra import Module, ModuleEntry, SpectraOverview

Statistic = Callable[[SpectrumStatistics], float | None]
_STATISTICS: Mapping[str, Statistic] = {
    "effective rank": lambda s: s.effective_rank,
    "participation": lambda s: s.participation_ratio,
    "eigenvalues": lambda s: s.count,
    "above round-off": lambda s: s.rank,
    "90 % of the sum": lambda s: s.count_90,
    "99 % of the sum": lambda s: s.count_99,
    "largest": lambda s: s.largest,
    "mean": lambda s: s.mean,
    "smallest": lambda s: s.smallest,
    "condition": lambda s: s.condition,
    "below 0": lambda s: s.negative,
    "not finite": lambda s: s.non_finite,
}
_EFFECTIVE_RANK = "effective rank"
_LEGEND = (
    ("\neffective rank: ", "$secondary"),
    "how many directions hold the sum, by the entropy of their shares",
    ("\nparticipation: ", "$secondary"),
    "the same by (sum)² ÷ sum of squares, the participation ratio",
)
_OF_LAYERS = (_EFFECTIVE_RANK, "mean", "largest")
_LABEL, _NARROWEST, _WIDEST = 16, 8, 21
Row = tuple[str, Sequence[float | None]]


def figures_text(
    overview: SpectraOverview,
    chosen: tuple[str, str],
    entry: ModuleEntry,
    other: ModuleEntry | None,
    width: int,
) -> Content:
    """What the module table says of the selected entry, and of the one it is compared with.

    `chosen` is the strategy and the kind; the table fits into `width` cells.
    """
    strategy, kind = chosen

    def statistics(module: Module | None, of: str = kind) -> SpectrumStatistics | None:
        return overview.statistics(strategy, module, of) if module else None

    if entry.is_layer:
        layer = _of_layer(entry, other, statistics, width)
        return Content.assemble(*_traced(overview), layer)
    module = entry.modules[0]
    if other and other != entry:
        pair = (statistics(module), statistics(other.counterpart(module)))
        return _two(entry.title, other.title, _rows(pair), width)
    kinds = overview.kinds(strategy)
    longest = max(len(SYMBOLS[of]) for of in kinds)
    room = _cells(width, len(kinds)) > longest
    titles = [SYMBOLS[of] if room else SYMBOLS[of][0].upper() for of in kinds]
    meanings = [
        Content.assemble((f"\n{title}: ", "$secondary"), clean(spectrum.meaning, 200))
        for title, of in zip(titles, kinds, strict=True)
        if (spectrum := overview.spectra.get((strategy, module.name, of)))
    ]
    table = _table(titles, _rows([statistics(module, of) for of in kinds]), width)
    return Content.assemble(*_traced(overview), table, *meanings, *_LEGEND)


def _traced(overview: SpectraOverview) -> list[Content]:
    """What the figures are not of, before them: below it would be out of sight."""
    told = clean(overview.not_traced, 400)
    return [Content.styled(f"{told}\n", "$warning")] if told else []


def _of_layer(
    entry: ModuleEntry,
    other: ModuleEntry | None,
    statistics: Callable[[Module | None], SpectrumStatistics | None],
    width: int,
) -> Content:
    """Every module of a layer; beside another layer, the effective ranks of both."""
    if other and other != entry:
        rows = [
            (
                module.short,
                _each(_EFFECTIVE_RANK, (statistics(module), statistics(other.counterpart(module)))),
            )
            for module in entry.modules
        ]
        title = Content.styled(f"{_EFFECTIVE_RANK}\n", "bold")
        return Content.assemble(title, _two(entry.title, other.title, rows, width))
    rows = [
        (module.short, [_each(name, [statistics(module)])[0] for name in _OF_LAYERS])
        for module in entry.modules
    ]
    return _table(_OF_LAYERS, rows, width)


def _rows(columns: Sequence[SpectrumStatistics | None]) -> list[Row]:
    return [(name, _each(name, columns)) for name in _STATISTICS]


def _each(name: str, columns: Iterable[SpectrumStatistics | None]) -> list[float | None]:
    """One statistic of every column."""
    return [_STATISTICS[name](one) if one else None for one in columns]


def _two(here: str, there: str, rows: Iterable[Row], width: int) -> Content:
    """Two columns and their ratio."""
    compared = []
    for title, (first, second) in rows:
        ratio = first / second if first is not None and second else None
        compared.append((title, [first, second, ratio]))
    return _table([here, f"◆ {there}", "ratio"], compared, width)


def _cells(width: int, columns: int) -> int:
    return max(_NARROWEST, min(_WIDEST, (width - _LABEL) // columns))


def _table(titles: Sequence[str], rows: Iterable[Row], width: int) -> Content:
    cells = _cells(width, len(titles))
    head = " " * _LABEL + "".join(fit(f" {clean(title)}", cells, right=True) for title in titles)
    lines = [Content.styled(head, "$secondary")]
    for title, numbers in rows:
        texts = ("–" if n is None else tick(n) for n in numbers)
        figures = "".join(fit(f" {text}", cells, right=True) for text in texts)
        lines.append(Content.assemble((fit(clean(title), _LABEL), "$secondary"), figures))
    return Content("\n").join(lines)
