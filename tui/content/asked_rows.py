"""Examples that a worker found, as the lines of a table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from textual.content import Content

from pipeline.contract.results.examples import source_label
from pipeline.contract.run.asking import AskedExample
from pipeline.contract.settings.schema import Settings
from tui.content.rows import Cell, Column, Row
from tui.readers.clean import clean
from tui.readers.format import score

COLUMNS = (
    Column("rank", 4, right=True),
    Column("score", 11, right=True),
    Column("example", 18),
    Column("text"),
)


def rows_of(examples: Iterable[AskedExample]) -> Iterator[Row]:
    """A line an example; its item is the example's id."""
    for row in examples:
        yield Row(
            (
                Cell(str(row.rank), "dim", row.rank),
                Cell(score(row.score), "pro" if row.score > 0 else "con", row.score),
                Cell(row.example_id),
                Cell(row.text),
            ),
            sys.intern(row.example_id),  # a table knows its items by identity
        )


def title_of(row: AskedExample) -> str:
    """`1 · doc-7#2 · of doc-7 · books.jsonl row 12 · raw score +96.1`."""
    part = row.document_id != row.example_id
    names = [row.example_id, *[f"of {row.document_id}"] * part, source_label(row.source, row.row)]
    parts = [str(row.rank), *(clean(name, 60) for name in names)]
    return " · ".join([*parts, f"raw score {score(row.raw)}"])


def meaning(settings: Settings) -> Content:
    """What a score says, as the run ranks."""
    definition = "how far the answer's loss falls if the example weighs more"
    if settings.scores.normalize:
        definition += ", over √self-influence"
    return Content.assemble(
        ("score: ", "$secondary"), f"{definition}; ", ("+ taught it", "$pro"), ", ",
        ("− against it", "$con"),
    )  # fmt: skip
