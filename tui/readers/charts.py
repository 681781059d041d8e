"""Which of a run's metrics share a chart, and in which order the charts come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.contract.results.learning_curves import (
    GRADIENT_NORM,
    LEARNING_RATE,
    LOSS,
    PERPLEXITY,
    STAGE,
    TOKENS,
    TOKENS_PER_SECOND,
    VALIDATION_LOSS,
)

Metric = tuple[str, str]
"""A stage and the name of what it measures."""


@dataclass(frozen=True)
class ChartPlan:
    """One chart: the first metric is a line, those after it single marks."""

    title: str
    metrics: tuple[Metric, ...]


_KNOWN = (
    ChartPlan("Loss", ((STAGE, LOSS), (STAGE, VALIDATION_LOSS))),
    ChartPlan("Learning rate", ((STAGE, LEARNING_RATE),)),
    ChartPlan("Tokens a second", ((STAGE, TOKENS_PER_SECOND),)),
    ChartPlan("Gradient norm", ((STAGE, GRADIENT_NORM),)),
    ChartPlan("Perplexity", ((STAGE, PERPLEXITY),)),
)


def chart_plans(metrics: Iterable[Metric]) -> list[ChartPlan]:
    """The loss, then every chart that has something to show; metrics of no plan get one each."""
    there = [metric for metric in metrics if metric[1] != TOKENS]  # an axis, not a curve
    planned = {metric for plan in _KNOWN for metric in plan.metrics}
    plans = [plan for plan in _KNOWN if plan is _KNOWN[0] or set(plan.metrics) & set(there)]
    others = (metric for metric in there if metric not in planned)
    return plans + [ChartPlan(f"{stage}: {name}", ((stage, name),)) for stage, name in others]


def single_plans(metrics: Iterable[Metric]) -> list[ChartPlan]:
    """As `chart_plans`, each metric for itself, as several runs are laid over each other by one."""
    there = set(metrics)
    return [
        plan if plan.metrics == (metric,) else ChartPlan(_title(metric), (metric,))
        for plan in chart_plans(there)
        for metric in plan.metrics
        if metric in there or metric == _KNOWN[0].metrics[0]
    ]


def _title(metric: Metric) -> str:
    return metric[1].replace("_", " ").capitalize()
