"""Results of earlier formats, brought to the format of now in this one place.

Format 1: runs whose finishes (`done.json`) name no format. Format 2: the one that is written.
The fixtures of each step are kept in `tests/pipeline/contract/results/old/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.contract.files import Json
from pipeline.contract.results.verdict import Difference, verdict

Step = Callable[[Json], Json | None]
"""From one format to the next; None: the result cannot be migrated."""


def _rename_unigram_loss(value: Json) -> Json:
    """Format 1 called it frequency_loss, and lacked it at first."""
    return {**value, "unigram_loss": value.get("frequency_loss")}


def _add_preflight(value: Json) -> Json:
    """The first runs of format 1 were fitted and scored without measuring it."""
    return {"preflight": None, **value}


def _evaluation_without_origins(value: Json) -> Json:
    """Before answers were traced, their words counted, or the origins' sources named."""
    reason = "an earlier version compared these; `headwater run evaluate --force` traces them"
    for pair in _objects(value, "prompts"):
        for origin in _objects(pair.get("trained"), "origins"):
            origin.setdefault("place", "")
    value = {"words": None, "origins": {"missing": reason}, **value}
    return {**value, "perplexities": value.get("perplexities") or {}}


def _benchmarks_without_verdicts(value: Json) -> Json:
    """Before comparisons held their verdict."""
    for row in _objects(value, "comparisons"):
        ends = [row.get(name) for name in ("low", "high", "p_value")]
        if all(end is None or isinstance(end, float | int) for end in ends):
            row.setdefault("verdict", verdict(Difference(0, 0.0, *ends)))
    return value


def _objects(value: object, key: str) -> list[Json]:
    """The JSON objects of a list; what is none of these is left for the check of types."""
    items = value.get(key) if isinstance(value, dict) else None
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


STEPS: Mapping[str, Mapping[int, Step]] = {
    "Evaluation": {1: _evaluation_without_origins},
    "Benchmarks": {1: _benchmarks_without_verdicts},
    "FactorsSummary": {1: _add_preflight},
    "ScoresSummary": {1: _add_preflight},
    "TrainingSummary": {1: _rename_unigram_loss},
}
"""Name of the artefact's dataclass → format that a step begins at → step. No step = no change."""


def migrate(artefact: str, version: int, value: Json) -> Json | None:
    """JSON of an artefact in the format of now; None where it cannot be migrated."""
    steps = STEPS.get(artefact, {})
    migrated: Json | None = value
    for step in (steps[n] for n in sorted(steps) if n >= version):
        if not isinstance(migrated, dict):
            return migrated
        migrated = step(migrated)
    return migrated
