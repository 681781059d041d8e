"""The rankings as the report shows them.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.controls import ControlReader, Controls
from pipeline.contract.results.examples import read_example_ids
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.rankings import End, RankedExample, read_rankings
from pipeline.contract.results.ranks import Scores, rank_of
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.run.run_dir import RunDir

TOP, BOTTOM = 10, 5
"""Examples shown from each end of a prompt's ranking."""

PERCENTILES = (1, 10, 25, 50, 75, 90, 95, 99)


@dataclass(frozen=True)
class Line:
    """A line of a ranking."""

    row: RankedExample
    ranks: dict[str, int | None]
    """Among all N examples by every method; None where there is no score."""


@dataclass(frozen=True)
class PromptRanking:
    """A prompt's examples under the default method."""

    lines: list[Line]
    """The first `TOP` and the last `BOTTOM`, none of them twice."""
    statistics: dict[str, float]
    """Of all N scores; without those that are not finite, which "not finite" counts."""
    layers: Sequence[int]
    layer_shares: NDArray[np.float64] | None
    """Layers' shares of the top examples' raw scores [≤ TOP, L]: signed, |shares| sum to 1."""
    controls: Controls

    @property
    def largest_share(self) -> float:
        """The most that one layer gives to one example, without its sign."""
        return 0.0 if self.layer_shares is None else float(np.abs(self.layer_shares).max())


class Rankings:
    """The scores stage's tables and scores."""

    def __init__(self, run: RunDir, prompts: Collection[str]) -> None:
        """Reads what is shown of some prompts, by their ids.

        Raises:
            MissingResultError: a file of the scores stage is gone.
            DamagedResultError: one is not what the stage writes.
        """
        self._file = ScoreFile(run)
        self.metadata = self._file.metadata
        self._controls = ControlReader(self._file, read_prompts(run))
        ids = read_example_ids(run)
        self._index = {example: number for number, example in enumerate(ids)}
        self._rows: dict[tuple[str, End], list[RankedExample]] = {}
        method, told = self.metadata.default_method, frozenset(prompts)
        top = read_rankings(run, prompt_ids=told, method=method, end="top", last=TOP)
        bottom = read_rankings(run, prompt_ids=told, method=method, end="bottom", last=BOTTOM)
        for row in [*top, *bottom]:
            self._rows.setdefault((row.prompt_id, row.end), []).append(row)

    def of_prompt(self, prompt_id: str) -> PromptRanking | None:
        """The prompt's ranking under the default method, or None where it was not scored."""
        metadata = self.metadata
        if prompt_id not in metadata.prompts:
            return None
        number = metadata.prompts.index(prompt_id)
        scores = {name: self._file.scores(number, name) for name in metadata.methods}
        top = self._rows.get((prompt_id, "top"), [])
        shown = {row.example_id for row in top}
        bottom = [
            row
            for row in reversed(self._rows.get((prompt_id, "bottom"), []))
            if row.example_id not in shown
        ]
        return PromptRanking(
            lines=[self._line(row, scores) for row in [*top, *bottom]],
            statistics=statistics(scores[metadata.default_method]),
            layers=metadata.layers,
            layer_shares=self._layer_shares(top, number) if metadata.layers else None,
            controls=self._controls.read(prompt_id, metadata.default_method),
        )

    def _line(self, row: RankedExample, scores: dict[str, Scores]) -> Line:
        index = self._index.get(row.example_id)
        return Line(
            row,
            {
                name: None if index is None else rank_of(values, index)
                for name, values in scores.items()
            },
        )

    def _layer_shares(self, top: list[RankedExample], prompt: int) -> NDArray[np.float64] | None:
        positions = [self._index.get(row.example_id) for row in top]
        known = [index for index in positions if index is not None]
        if not known or len(known) < len(positions):
            return None
        parts = self._file.layers(prompt)[:, known].T.astype(np.float64)
        totals = np.abs(parts).sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.divide(
            parts, totals, out=np.zeros_like(parts), where=totals > 0
        )
        return shares


def statistics(scores: Scores) -> dict[str, float]:
    """Location, spread and percentiles of the finite scores [N]."""
    finite = scores[np.isfinite(scores)].astype(np.float64)
    figures: dict[str, float] = {"examples": len(scores)}
    if len(finite) < len(scores):
        figures["not finite"] = len(scores) - len(finite)
    if len(finite) == 0:
        return figures
    named: dict[str, Callable[[NDArray[np.float64]], Any]] = {
        "max": np.max,
        "min": np.min,
        "mean": np.mean,
        "median": np.median,
        "std": np.std,
    }
    figures |= {name: float(function(finite)) for name, function in named.items()}
    percentiles = np.percentile(finite, PERCENTILES)
    return figures | {f"{p} %": float(v) for p, v in zip(PERCENTILES, percentiles, strict=True)}
