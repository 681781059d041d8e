"""Which rows of the source an answer comes from: the ranking of examples, row by row.

Shape legend: N training examples, Q prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.errors import MissingResultError, UsageError
from pipeline.contract.results.common import rewrite_command
from pipeline.contract.results.curation import CurationRequest
from pipeline.contract.results.examples import NO_GROUP, groups_of, ids_of, read_origins, rows_of
from pipeline.contract.results.ranks import Scores, highest_first
from pipeline.contract.results.score_file import ScoreFile, load_scores
from pipeline.contract.results.sets import combined, set_ranking
from pipeline.contract.run.run_dir import RunDir

RowKey = tuple[str, int]
"""A source and a 0-based row in it."""


@dataclass(frozen=True)
class Ranked:
    """The examples' scores for all prompts together."""

    prompts: tuple[str, ...]
    left_out: tuple[str, ...]
    method: str
    scores: Scores
    """[N], NaN = none. Of one prompt those that `rank` tells; of several the mean, each prompt's
    divided by their root mean square (see `results/sets.py`)."""
    file: ScoreFile


@dataclass(frozen=True)
class Standing:
    """A row that was trained on. A document of several chunks counts by the highest of them."""

    rank: int | None
    """1 = highest of all rows; None: it has no score."""
    score: float | None
    example: str
    position: int
    """Of that example in the corpus."""
    groups: frozenset[int]
    """Near-duplicate groups of its examples."""


def ranked(run: RunDir, request: CurationRequest) -> Ranked:
    """The examples' scores for the prompts that are asked for.

    Raises:
        UsageError: no such set, prompt or method; names those that are.
        MissingResultError: they are not scored, or the scores are not up to date.
        DamagedResultError: a file is not what its stage writes.
    """
    loaded = load_scores(run)
    file = loaded.value
    if not loaded.fresh:
        raise MissingResultError(
            f"the scores of run {run.name} are stale: settings, prompts or data have changed since",
            f"`{rewrite_command(run, 'scores')}` scores again",
            "scores",
        )
    method = request.method or file.metadata.default_method
    if request.of_set:
        found = set_ranking(run, request.of_set, method)
        return Ranked(found.prompts, found.left_out, method, found.scores, file)
    if method not in file.metadata.methods:
        raise UsageError(f"no method {method!r}; valid: {', '.join(file.metadata.methods)}")
    if unknown := [name for name in request.prompts if name not in file.metadata.prompts]:
        hint = "add them to the run's prompts and score again"
        raise UsageError(f"run {run.name} has not scored prompt {', '.join(unknown[:5])}", hint)
    scores, taken = combined(file, request.prompts, method)
    if len(request.prompts) == len(taken) == 1:  # nothing is weighed: they are what `rank` tells
        scores = file.scores(file.metadata.prompts.index(taken[0]), method)
    left_out = tuple(name for name in request.prompts if name not in taken)
    return Ranked(taken, left_out, method, scores, file)


def standings(run: RunDir, scores: Scores) -> dict[RowKey, Standing]:
    """Every row that was trained on, highest first, those without a score last."""
    table = read_origins(run)
    keys, names, groups = rows_of(table), ids_of(table), groups_of(table).tolist()
    of_row: dict[RowKey, set[int]] = {}
    for key, group in zip(keys, groups, strict=True):
        of_row.setdefault(key, set()).update({group} - {NO_GROUP})
    found: dict[RowKey, Standing] = {}
    for position in _in_order(scores):
        key = keys[position]
        if key not in found:
            score = None if np.isnan(scores[position]) else float(scores[position])
            rank = None if score is None else len(found) + 1
            alike = frozenset(of_row[key])
            found[key] = Standing(rank, score, names[position], position, alike)
    return found


def _in_order(scores: Scores) -> Iterator[int]:
    order = highest_first(scores).tolist()
    yield from order
    yield from np.flatnonzero(np.isnan(scores)).tolist()


def nearest_prompts(found: Ranked, positions: Sequence[int]) -> Mapping[int, str]:
    """By the examples' positions: the prompt whose scores, divided by their root mean square, are
    highest there."""
    best: NDArray[np.float64] = np.full(len(positions), -np.inf)
    names = [""] * len(positions)
    rows = {name: number for number, name in enumerate(found.file.metadata.prompts)}
    for name in found.prompts:
        row = found.file.scores(rows[name], found.method).astype(np.float64)
        scaled = row[positions] / np.sqrt(np.nanmean(np.square(row)))
        for place in np.flatnonzero(scaled > best):
            best[place], names[place] = scaled[place], name
    return dict(zip(positions, names, strict=True))
