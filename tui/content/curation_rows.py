"""What a curation would do, as a table and in words."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.contract.results.curation import CurationPreview, CurationRequest, PreviewedRow
from tui.content.rows import Cell, Column, Row

_COLUMNS = (
    Column("rank", 7, right=True),
    Column("score", 9, right=True),
    Column("group", 6, right=True, spare=True),
    Column("nearest prompt", 18, spare=True),
    Column("text"),
)
_GROUP, _PROMPT = 2, 3


def preview_table(found: CurationPreview) -> tuple[list[Column], list[Row]]:
    """A row that would go a row; with its near-duplicates' group where any has one, and the prompt
    that it has the most influence on where there are several."""
    left_out = {_GROUP} if all(row.group is None for row in found.rows) else set()
    left_out |= {_PROMPT} if len(found.prompts) < 2 else set()
    shown = [number for number in range(len(_COLUMNS)) if number not in left_out]
    rows = [(row, _cells(row)) for row in found.rows]
    return (
        [_COLUMNS[number] for number in shown],
        [Row(tuple(cells[number] for number in shown), row) for row, cells in rows],
    )


def _cells(row: PreviewedRow) -> tuple[Cell, ...]:
    return (
        _number(row.rank, ","),
        _number(row.score, "#.3g"),
        _number(row.group, ""),
        Cell(row.prompt, "dim"),
        Cell(row.text),
    )


def _number(value: float | None, form: str) -> Cell:
    return Cell("–", "dim") if value is None else Cell(f"{value:{form}}", "plain", value)


def amount_told(found: CurationPreview) -> str:
    """`5 of the 1,425 rows trained on go, 1,420 stay`."""
    stay = found.trained - found.dropped
    return f"{found.dropped:,} of the {found.trained:,} rows trained on go, {stay:,} stay"


def choice_told(request: CurationRequest, found: CurationPreview) -> Iterator[str]:
    """How they are ranked, and what is to be known besides."""
    yield f"ranked for {found.ranked_for} by {found.method}"
    if request.near_duplicates:
        yield "near-duplicates of what goes go too"
    elif found.near_duplicates:
        yield (
            f"near-duplicates of what goes, which stay: {found.near_duplicates:,}; "
            "{curate.alike} drops them too"
        )
    if found.left_out:
        yield f"without scores, and so left out: {', '.join(found.left_out)}"
