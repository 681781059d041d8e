"""Tables of the screen, and the report, as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.contract.files import replacing
from tui.widgets.table import Cell, Column, Row

ENDINGS = (".csv", ".jsonl")


def table_fault(text: str) -> str:
    """What is wrong with a path to write a table to, or nothing."""
    return _ending_fault(text, ENDINGS) or path_fault(text)


def _ending_fault(text: str, endings: Sequence[str]) -> str:
    return "" if text.strip().endswith(tuple(endings)) else f"ends in {' or '.join(endings)}"


def path_fault(text: str) -> str:
    """What is wrong with a path to write to, or nothing."""
    path = Path(text.strip()).expanduser()
    if not text.strip():
        return "name a file"
    if path.exists():
        return "there is something of this name already"
    return "" if path.parent.is_dir() else f"there is no folder {path.parent}"


def export_table(path: Path, columns: Sequence[Column], rows: Iterable[Row]) -> None:
    """Writes rows as CSV or JSON Lines, by the path's ending; numbers in full.

    Raises:
        OSError: the file cannot be written.
    """
    names = _names(columns)
    records = [dict(zip(names, map(_value, row.cells), strict=True)) for row in rows]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(record) + "\n" for record in records)
            return
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


def _names(columns: Sequence[Column]) -> list[str]:
    """Every name once: a second column of a name takes that of the one before it as well."""
    names: list[str] = []
    for place, column in enumerate(columns):
        name = column.title
        if name in names:
            name = f"{columns[place - 1].title} {name}"
        names.append(name)
    return names


def _value(cell: Cell) -> float | str:
    return cell.text if cell.value is None else cell.value
