"""How well each method does on a run, as far as that was measured."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.scores import Retrieval, load_scores_summary
from pipeline.contract.results.validation import SHORT_TITLES, Part, findings, load_validation
from pipeline.contract.run.run_dir import RunDir

_LDS: Part = "datamodeling"
NOT_MEASURED = "not measured here"


def method_figures(run: RunDir) -> Mapping[str, str]:
    """`MRR 0.99 · recall@5 0.83 · LDS 0.72` by method; what was not measured is left out."""
    parts: dict[str, list[str]] = {}
    for name, found in _retrievals(run).items():
        parts[name] = [f"MRR {found.mrr:.2f}", f"recall@{found.k} {found.recall:.2f}"]
    for name, score in _datamodeling_scores(run).items():
        parts.setdefault(name, []).append(score)
    return {name: " · ".join(told) for name, told in parts.items()}


def _retrievals(run: RunDir) -> Mapping[str, Retrieval]:
    try:
        return load_scores_summary(run).value.evaluation
    except HeadwaterError:  # the screen that asks says what is wrong with the rankings
        return {}


def _datamodeling_scores(run: RunDir) -> Mapping[str, str]:
    try:
        loaded = load_validation(run)
    except HeadwaterError:  # no validation, or none that can be read: the Evaluation screen says so
        return {}
    stale = "" if loaded.fresh else " (stale)"
    return {
        found.name: f"{SHORT_TITLES[_LDS]} {found.estimate.value:.2f}{stale}"
        for found in findings(loaded.value, _LDS)
    }
