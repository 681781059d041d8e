"""Results of earlier formats, brought to the format of now in this one place.

Format 1: runs whose finishes (`done.json`) name no format. Format 2: the one that is written.
The fixtures of each step are kept in `tests/pipeline/contract/results/old/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Value = dict[str, Any]  # JSON of any artefact, before its types are checked
Step = Callable[[Value], Value | None]
"""From one format to the next; None: the result cannot be migrated."""


def _rename_unigram_loss(value: Value) -> Value:
    """Format 1 called it frequency_loss, and lacked it at first."""
    return {**value, "unigram_loss": value.get("frequency_loss")}


def _add_preflight(value: Value) -> Value:
    """The first runs of format 1 were fitted without measuring it."""
    return {"preflight": None, **value}


STEPS: Mapping[str, Mapping[int, Step]] = {
    "FactorsSummary": {1: _add_preflight},
    "TrainingSummary": {1: _rename_unigram_loss},
}
"""Name of the artefact's dataclass → format that a step begins at → step. No step = no change."""


def migrate(artefact: str, version: int, value: Value) -> Value | None:
    """JSON of an artefact in the format of now; None where it cannot be migrated."""
    steps = STEPS.get(artefact, {})
    migrated: Value | None = value
    for step in (steps[n] for n in sorted(steps) if n >= version):
        if not isinstance(migrated, dict):
            return migrated
        migrated = step(migrated)
    return migrated
