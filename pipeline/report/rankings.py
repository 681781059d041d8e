"""The rankings as the report shows them.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import safe_open

from pipeline.contract.results.examples import read_example_ids
from pipeline.contract.run.run_dir import RunDir

TOP, BOTTOM = 10, 5
"""Examples shown from each end of a prompt's ranking."""

PERCENTILES = (1, 10, 25, 50, 75, 90, 95, 99)

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class RankedExample:
    """A line of a ranking."""

    row: dict[str, Any]
    """Its row of rankings.parquet."""
    others: list[tuple[str, float | None, int | None]]
    """Every other method's score, and its place among all N examples there; 1 = highest."""


@dataclass(frozen=True)
class PromptRanking:
    """A prompt's examples under the default method."""

    top: list[RankedExample]
    bottom: list[RankedExample]
    statistics: dict[str, float]
    """Of all N scores; without those that are not finite, which "not finite" counts."""
    layers: list[int]
    layer_shares: NDArray[np.float64] | None
    """Layers' shares of the top examples' raw scores [≤ TOP, L]: signed, |shares| sum to 1."""


@dataclass(frozen=True)
class Rankings:
    """rankings.parquet and scores.safetensors, read prompt by prompt."""

    metadata: dict[str, str]
    default: str
    methods: list[str]
    layers: list[int]
    _run: RunDir
    _prompts: list[str]
    _index: dict[str, int]

    @classmethod
    def read(cls, run: RunDir) -> Rankings | None:
        """None where the scores stage left no such files."""
        if not (run.scores.exists() and run.rankings.exists() and run.examples.exists()):
            return None
        with safe_open(run.scores, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
        ids = read_example_ids(run)
        return cls(
            metadata=metadata,
            default=metadata["default_method"],
            methods=json.loads(metadata["methods"]),
            layers=json.loads(metadata["layers"]),
            _run=run,
            _prompts=json.loads(metadata["prompts"]),
            _index={example: number for number, example in enumerate(ids)},
        )

    def of_prompt(self, prompt_id: str) -> PromptRanking | None:
        """The prompt's ranking under the default method, or None where it was not scored."""
        if prompt_id not in self._prompts:
            return None
        chosen = (pc.field("prompt_id") == prompt_id) & (pc.field("method") == self.default)
        rows = pq.read_table(self._run.rankings, filters=chosen).to_pylist()
        rows.sort(key=lambda row: row["rank"])
        with safe_open(self._run.scores, framework="numpy") as file:
            number, names = self._prompts.index(prompt_id), set(file.keys())
            scores = {name: file.get_slice(name)[number] for name in self.methods}
            layers = file.get_slice("layers")[number] if "layers" in names else None
        ends: dict[str, list[RankedExample]] = {"top": [], "bottom": []}
        for row in rows:
            if len(ends[row["end"]]) < (TOP if row["end"] == "top" else BOTTOM):
                ends[row["end"]].append(self._ranked(row, scores))
        return PromptRanking(
            **ends,
            statistics=statistics(scores[self.default]),
            layers=self.layers,
            layer_shares=self._layer_shares(ends["top"], layers),
        )

    def _ranked(self, row: dict[str, Any], scores: dict[str, Scores]) -> RankedExample:
        index = self._index.get(row["example_id"])
        others = [
            (name, row.get(f"score_{name}"), place(values, index))
            for name, values in scores.items()
            if name != self.default
        ]
        return RankedExample(row, others)

    def _layer_shares(
        self, top: list[RankedExample], layers: Scores | None
    ) -> NDArray[np.float64] | None:
        places = [self._index.get(example.row["example_id"]) for example in top]
        known = [index for index in places if index is not None]
        if layers is None or not known or len(known) < len(places):
            return None
        parts = layers[:, known].T.astype(np.float64)
        totals = np.abs(parts).sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.divide(
            parts, totals, out=np.zeros_like(parts), where=totals > 0
        )
        return shares


def place(scores: Scores, index: int | None) -> int | None:
    """Rank of an example among all, 1 = highest; equal scores share the better rank."""
    if index is None or not np.isfinite(scores[index]):
        return None
    return int((scores > scores[index]).sum()) + 1


def statistics(scores: Scores) -> dict[str, float]:
    """Location, spread and percentiles of the finite scores [N]."""
    finite = scores[np.isfinite(scores)].astype(np.float64)
    found: dict[str, float] = {"examples": len(scores)}
    if len(finite) < len(scores):
        found["not finite"] = len(scores) - len(finite)
    if len(finite) == 0:
        return found
    named: dict[str, Callable[[NDArray[np.float64]], Any]] = {
        "max": np.max,
        "min": np.min,
        "mean": np.mean,
        "median": np.median,
        "std": np.std,
    }
    found |= {name: float(function(finite)) for name, function in named.items()}
    percentiles = np.percentile(finite, PERCENTILES)
    return found | {f"{p} %": float(v) for p, v in zip(PERCENTILES, percentiles, strict=True)}
