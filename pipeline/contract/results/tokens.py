"""tokens.parquet: what each token of a prompt's first examples adds to their scores.

The file has the scores of positions. A position reads its own token and predicts the next one,
whose loss is what it learns from: in "… is a tanner" the fact is learnt where "a" is read. What is
read here are the scores of the tokens that are predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contract.results.common import Row, read_table, write_table
from pipeline.contract.results.rankings import Tracer
from pipeline.contract.results.written import was_written
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import pyarrow as pa


_LABELLED = "labelled"


@dataclass(frozen=True)
class PositionScores:
    """A row: an example's scores for a prompt as they are computed."""

    prompt_id: str
    example_id: str
    tokens: Sequence[str]
    """Put together, they are the example's text."""
    scores: Sequence[float]
    """Of positions; added up, the example's raw score."""
    labelled: Sequence[bool] | None = None
    """Which tokens carry loss; None = all but the first, as in plain text."""


@dataclass(frozen=True)
class TokenScores:
    """What predicting each token of an example adds to its score."""

    tokens: Sequence[str]
    scores: Sequence[float]
    labelled: Sequence[bool] | None = None
    """Which tokens carry loss; None = all but the first, as in plain text."""


@lru_cache
def schema() -> pa.Schema:
    """The columns that every table has."""
    import pyarrow as pa

    return pa.schema(
        [
            ("prompt_id", pa.string()),
            ("example_id", pa.string()),
            ("tokens", pa.list_(pa.string())),
            ("scores", pa.list_(pa.float32())),
        ]
    )


@lru_cache
def written_schema() -> pa.Schema:
    """The columns that are written: those of `PositionScores`."""
    import pyarrow as pa

    return schema().append(pa.field(_LABELLED, pa.list_(pa.bool_())))


def write_token_scores(run: RunDir, tracer: Tracer, rows: Iterable[PositionScores]) -> None:
    """Writes a stage's table."""
    import pyarrow as pa

    table = pa.Table.from_pylist([vars(row) for row in rows], written_schema())
    write_table(_path(run, tracer), table)


def read_token_scores(run: RunDir, tracer: Tracer = "scores") -> dict[tuple[str, str], TokenScores]:
    """All of them by the ids of prompt and example; none where the stage was to score no tokens.

    Raises:
        MissingResultError: the table is gone.
        DamagedResultError: the table is not what the stage writes.
    """
    path = _path(run, tracer)
    if not was_written(run, tracer, path):
        return {}
    rows = read_table(run, tracer, path, schema()).to_pylist()
    return {(row["prompt_id"], row["example_id"]): _read(row) for row in rows}


def find_token_scores(run: RunDir, prompt_id: str, example_id: str) -> TokenScores | None:
    """Those of the scores stage for one prompt and example; None where they were not scored.

    Raises:
        MissingResultError: the table is gone.
        DamagedResultError: the table is not what the stage writes.
    """
    path = run.token_scores
    if not was_written(run, "scores", path):
        return None
    keys = read_table(run, "scores", path, schema(), ["prompt_id", "example_id"])
    pairs = list(zip(keys["prompt_id"].to_pylist(), keys["example_id"].to_pylist(), strict=True))
    if (prompt_id, example_id) not in pairs:
        return None
    # of Python's own objects, only those of one row: a table holds millions of tokens
    table = read_table(run, "scores", path, schema())
    [row] = table.slice(pairs.index((prompt_id, example_id)), 1).to_pylist()
    return _read(row)


def of_predictions(row: PositionScores) -> TokenScores:
    """Scores of positions as scores of the tokens that they predict.

    The first token is predicted by none, the last position predicts nothing and has a score of 0,
    so the sum stays the same.
    """
    return TokenScores(row.tokens, [0.0, *row.scores[:-1]], row.labelled)


def _path(run: RunDir, tracer: Tracer) -> Path:
    return run.token_scores if tracer == "scores" else run.own_token_scores


def _read(row: Row) -> TokenScores:
    return of_predictions(PositionScores(**row))
