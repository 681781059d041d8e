"""What trainings came to, each kept under a key that says what it was trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.validation import Retraining, append_retraining, read_retrainings
from pipeline.contract.run.run_dir import RunDir

Outcome = NDArray[np.float64]
"""A number a prompt [Q], NaN where there is none."""


class Ledger:
    """Outcomes on disk, so that a stopped or widened validation trains nothing twice."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._known = {line.key: line.values for line in read_retrainings(run)}

    def get(self, key: str) -> Outcome | None:
        """The outcome of an earlier attempt, if there is one."""
        values = self._known.get(key)
        return None if values is None else np.array(values, dtype=np.float64)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keeps an outcome."""
        self.keep(line(key, outcome))

    def keep(self, retraining: Retraining) -> None:
        """Keeps what another process has written as `line`."""
        self._known[retraining.key] = retraining.values
        append_retraining(self._run, retraining)


def line(key: str, outcome: Outcome) -> Retraining:
    """An outcome under its key."""
    values = tuple(value if np.isfinite(value) else None for value in outcome.tolist())
    return Retraining(key, values)
