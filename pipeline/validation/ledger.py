"""Outcomes that cost hours, each kept under a key that says what it is an outcome of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.files import append_json_lines, read_json_lines

Outcome = NDArray[np.float64]
"""A number a prompt [Q], NaN where there is none."""


class Ledger:
    """Outcomes on disk, so that a stopped or widened validation trains nothing twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Sequence[float | None]] = {
            line["key"]: line["values"] for line in read_json_lines(path)
        }

    def get(self, key: str) -> Outcome | None:
        """The outcome of an earlier attempt, if there is one."""
        values = self._known.get(key)
        return None if values is None else np.array(values, dtype=np.float64)

    def put(self, key: str, outcome: Outcome) -> None:
        """Keeps an outcome."""
        values = [value if np.isfinite(value) else None for value in outcome.tolist()]
        self._known[key] = values
        append_json_lines(self._path, [{"key": key, "values": values}])
