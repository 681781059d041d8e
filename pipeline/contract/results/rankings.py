"""rankings.parquet: the first and the last examples of every prompt and method, with their text.

Two stages write such a table: scores, of the completions that it traces, and evaluate, of the
trained model's own answers where those differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.contract.results.common import Row, readable, require_columns, where, write_table
from pipeline.contract.results.examples import source_label
from pipeline.contract.run.freshness import FORMAT, Done
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import pyarrow as pa

Tracer = Literal["scores", "evaluate"]
"""The stage that has traced: completions, or the model's own answers."""
End = Literal["top", "bottom"]

EXAMPLE_COLUMNS = (
    "example_id",
    "document_id",
    "chunk",
    "chunks",
    "text",
    "n_tokens",
    "duplicate_group",
    "source",
    "row",
)
"""As in the table of examples."""
_SCORE = "score_"
_SINCE_FORMAT_2 = ("source", "row")
"""Some tables of format 1 have them, too."""


@dataclass(frozen=True)
class RankedExample:
    """A row: an example at one end of a prompt's ranking by a method."""

    prompt_id: str
    method: str
    end: End
    rank: int
    """1 = the most extreme of its end."""
    score: float
    example_id: str
    document_id: str
    chunk: int
    """0-based position in its document."""
    chunks: int
    text: str
    n_tokens: int
    duplicate_group: int
    """Near-duplicates have the same; -1: none known."""
    source: str | None
    """File or dataset that it comes from, and its 0-based row there; None: not kept by format 1."""
    row: int | None
    relevant: bool | None
    """Whether its document states the answer; None where the prompt names no documents."""
    scores: Mapping[str, float | None]
    """Of the prompt by every method; None = missing."""

    @property
    def source_label(self) -> str:
        """Where the text was read, "books.jsonl row 12"; empty where that was not kept."""
        if self.source is None or self.row is None:
            return ""
        return source_label(self.source, self.row)

    def record(self) -> dict[str, object]:
        """The row by the names of its columns."""
        values = {name: value for name, value in vars(self).items() if name != "scores"}
        return {**values, **{f"{_SCORE}{name}": score for name, score in self.scores.items()}}


@lru_cache
def schema() -> pa.Schema:
    """The columns of every table; a column `score_<method>` for each of its methods follows."""
    import pyarrow as pa

    return pa.schema(
        [
            ("prompt_id", pa.string()),
            ("method", pa.string()),
            ("end", pa.string()),
            ("rank", pa.int32()),
            ("score", pa.float32()),
            ("example_id", pa.string()),
            ("document_id", pa.string()),
            ("chunk", pa.int32()),
            ("chunks", pa.int32()),
            ("text", pa.string()),
            ("n_tokens", pa.int32()),
            ("duplicate_group", pa.int32()),
            ("source", pa.string()),
            ("row", pa.int64()),
            ("relevant", pa.bool_()),
        ]
    )


def rankings_path(run: RunDir, tracer: Tracer) -> Path:
    """The table of a stage."""
    return run.rankings if tracer == "scores" else run.own_rankings


def write_rankings(
    run: RunDir,
    tracer: Tracer,
    columns: Sequence[pa.Array | pa.ChunkedArray],
    scores: Mapping[str, pa.Array],
) -> None:
    """Writes a stage's table of the columns of `schema`, in its order, and of scores by method."""
    import pyarrow as pa

    table = pa.Table.from_arrays(list(columns), schema=schema())
    for method, values in scores.items():
        table = table.append_column(f"{_SCORE}{method}", values)
    write_table(rankings_path(run, tracer), table)


def read_rankings(
    run: RunDir,
    tracer: Tracer = "scores",
    *,
    prompt_id: str | None = None,
    prompt_ids: Set[str] | None = None,
    method: str | None = None,
    end: End | None = None,
    last: int | None = None,
) -> list[RankedExample]:
    """Rows in the order of the table: prompts, methods, top before bottom, ranks.

    Only those of a prompt or of some, a method, an end, and up to the rank `last`, where they are
    given.

    Raises:
        MissingResultError: there is no such table.
        DamagedResultError: it is not what the stage writes.
    """
    chosen = {"prompt_id": prompt_id, "method": method, "end": end}
    wanted: dict[str, Set[str]] = {
        name: {value} for name, value in chosen.items() if value is not None
    }
    if prompt_ids is not None:
        wanted["prompt_id"] = prompt_ids
    return [
        _ranked_example(row)
        for batch in _batches(run, tracer)
        for row in _matching(batch, wanted, last)
    ]


def _batches(run: RunDir, tracer: Tracer) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, done = rankings_path(run, tracer), Done.read(tracer, run)
    required = schema()
    if done is not None and done.format < FORMAT:
        required = pa.schema([field for field in required if field.name not in _SINCE_FORMAT_2])
    with readable(run, tracer, path), pq.ParquetFile(path) as file:
        require_columns(run, tracer, path, file.schema_arrow, required)
        yield from file.iter_batches()


def _matching(
    batch: pa.RecordBatch, wanted: Mapping[str, Set[str]], last: int | None
) -> Iterator[Row]:
    """The chosen rows."""
    for name, values in wanted.items():
        batch = where(batch, [found in values for found in batch[name].to_pylist()])
    if last is not None:
        batch = where(batch, [rank <= last for rank in batch["rank"].to_pylist()])
    yield from batch.to_pylist()


def _ranked_example(row: Row) -> RankedExample:
    scores = {
        name.removeprefix(_SCORE): row.pop(name) for name in list(row) if name.startswith(_SCORE)
    }
    return RankedExample(**{**dict.fromkeys(_SINCE_FORMAT_2), **row}, scores=scores)
