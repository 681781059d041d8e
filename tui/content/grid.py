"""Tables of a text, drawn as the dashboard draws its own: columns that fit, the others in turn."""

from __future__ import annotations

from textwrap import wrap

from rich.cells import cell_len
from textual.content import Content

from tui.content.ink import fit
from tui.readers.clean import clean
from tui.readers.format import aligned, decimals
from tui.readers.report import Grid

_TEXT = 30
"""Cells that a column of text has at the least, if it has so many: longer cells are broken."""
_GAP = 2


def parts(grid: Grid, width: int) -> list[tuple[int, ...]]:
    """The columns that are shown together in so many cells; the first one is in every part."""
    needed = [_needed(grid, column) for column in range(len(grid.head))]
    found, shown = list[tuple[int, ...]](), [0]
    for column in range(1, len(grid.head)):
        if sum(needed[n] + _GAP for n in [*shown, column]) - _GAP > width and len(shown) > 1:
            found.append(tuple(shown))
            shown = [0]
        shown.append(column)
    return [*found, tuple(shown)]


def drawn(grid: Grid, columns: tuple[int, ...], width: int) -> Content:
    """Head and rows of some columns; what is longer than its column goes on below itself."""
    widths = _widths(grid, columns, width)
    points = [_decimals(grid, column) for column in columns]
    lines = [Content.styled(_line(grid, columns, widths, grid.head), "$secondary")]
    for row in grid.rows:
        cells = [
            _pointed(wrap(clean(row[column]), cells, break_on_hyphens=False), longest, cells)
            for column, cells, longest in zip(columns, widths, points, strict=True)
        ]
        for number in range(max(map(len, cells))):
            texts = [cell[number] if number < len(cell) else "" for cell in cells]
            by_column = dict(zip(columns, texts, strict=True))
            whole = tuple(by_column.get(n, "") for n in range(len(grid.head)))
            lines.append(Content(_line(grid, columns, widths, whole)))
    return Content("\n").join(lines)


def _line(grid: Grid, columns: tuple[int, ...], widths: list[int], row: tuple[str, ...]) -> str:
    cells = zip(columns, widths, strict=True)
    fitted = (fit(clean(row[column]), width, grid.right[column]) for column, width in cells)
    return (" " * _GAP).join(fitted).rstrip()


def _pointed(lines: list[str], longest: int, cells: int) -> list[str]:
    """A cell's lines; a figure with its point below those of its column, the longest of which has
    so many characters from there on."""
    if len(lines) == 1 and _is_figure(lines[0]):
        return [aligned(lines[0], longest, cells)]
    return lines or [""]


def _longest(grid: Grid, column: int) -> int:
    texts = (grid.head[column], *(row[column] for row in grid.rows))
    figures = (row[column] for row in grid.rows if _is_figure(row[column]))
    points = (len(text) - decimals(text) + _decimals(grid, column) for text in figures)
    return max(*(cell_len(clean(text)) for text in texts), *points, 0)


def _decimals(grid: Grid, column: int) -> int:
    """The most characters that a figure of a column has from its point on."""
    if not grid.right[column]:
        return 0
    texts = (row[column] for row in grid.rows)
    return max((decimals(text) for text in texts if _is_figure(text)), default=0)


def _is_figure(text: str) -> bool:
    return text[-1:].isdigit() and not any(letter.isspace() for letter in text)


def _needed(grid: Grid, column: int) -> int:
    longest = _longest(grid, column)
    return longest if grid.right[column] else min(longest, _TEXT)


def _widths(grid: Grid, columns: tuple[int, ...], width: int) -> list[int]:
    """Cells of each; the columns of text share what is left, up to what they hold."""
    widths = [min(_needed(grid, column), width) for column in columns]
    left = width - sum(widths) - _GAP * (len(columns) - 1)
    if left < 0:  # one column and the first are together wider than the screen: text can be broken
        texts = [n for n, column in enumerate(columns) if not grid.right[column]]
        widest = max(texts or range(len(columns)), key=widths.__getitem__)
        widths[widest] = max(1, widths[widest] + left)
    for number, column in enumerate(columns):
        more = min(max(0, left), _longest(grid, column) - widths[number])
        if more > 0:
            widths[number] += more
            left -= more
    return widths
