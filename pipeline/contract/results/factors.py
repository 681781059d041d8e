"""The fitted curvature in figures.

File: `factors/summary.json`. The factors themselves are in Kronfluence's own folders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.contract.results.common import read_record, write_record
from pipeline.contract.run.run_dir import RunDir

STAGE = "factors"


@dataclass(frozen=True)
class GradientErrors:
    """How far one example's gradient moves: ‖difference‖ ÷ ‖gradient in float32‖."""

    batch_mates: float
    """From sharing a batch: with an example of like length or the longest that fits, the larger."""
    precision: float
    """From the pass's mixed precision or TF32; 0 where it computes in float32."""


@dataclass(frozen=True)
class Coverage:
    """How much of the weights that the settings choose is traced."""

    group: str
    """The settings' modules.group."""
    share: float
    """Of the matrices of that group in the chosen layers, by their numbers of weights; 0 to 1."""
    left_out: str
    """The other matrices' names, those of several layers put together; empty if there are none."""

    @property
    def sentence(self) -> str:
        """What is traced and what is not, for a person."""
        whose = "" if self.group == "all" else f"{_GROUPS[self.group]} "
        percent = f"{math.floor(1000 * self.share + 1e-6) / 10:g}%"  # 100% only where it is
        text = f"{percent} of the {whose}weights in the chosen layers are traced"
        return f"{text}; left out: {self.left_out}" if self.left_out else text


_GROUPS = {"mlp": "MLP", "attention": "attention"}


@dataclass(frozen=True)
class FactorsSummary:
    """The content of `factors/summary.json`."""

    strategies: tuple[str, ...]
    """Those that the settings name; identity is fitted along."""
    fisher: str
    """Which labels the gradients are of: the data's, or sampled ones."""
    modules: tuple[str, ...]
    """The tracked ones, in the model's order."""
    examples: int
    preflight: GradientErrors | None
    """None in runs that were fitted before this was measured."""
    seconds: dict[str, float]
    """Strategy → what its fitting took."""
    coverage: Coverage | None = None
    """None in runs that were fitted before this was counted."""


def write_factors_summary(run: RunDir, summary: FactorsSummary) -> None:
    """Writes the summary."""
    write_record(run.summary(STAGE), summary)


def read_factors_summary(run: RunDir) -> FactorsSummary:
    """Reads the summary.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: it is not what the factors stage writes.
    """
    return read_record(run, STAGE, run.summary(STAGE), FactorsSummary)
