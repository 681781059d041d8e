"""Fits the curvature of every strategy that the settings name.

Reads the examples and the trained model; writes Kronfluence's factor folders, which plain
Kronfluence opens, and `factors/summary.json`. Finished partitions of a killed attempt are kept.
"""

from __future__ import annotations

import time

from pipeline.contract.results.factors import (
    FactorsSummary,
    write_factors_summary,
)
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.fitting import copy_covariances, fit, needs_covariances, phases
from pipeline.influence.precision import settle_precision
from pipeline.influence.preflight import PREFLIGHT, PREFLIGHT_EXAMPLES, warnings
from pipeline.model import load_traced
from pipeline.sharing.stage import shared_stage


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Fits the factors.

    Raises:
        ModelError: the model lacks the modules, or diverges.
        SettingsError: more partitions than examples or modules.
        ResourceError: out of memory.
    """
    examples = TokenDataset.of_examples(run)
    events.plan(_parts(settings, len(examples)))
    events.doing("loading the model")
    model = load_traced(settings, run.model)
    with shared_stage("factors", settings, run, events, str(model.device)) as sharing:
        analyzer = InfluenceAnalyzer(settings, run, events, model)
        analyzer.sharing = sharing
        _fit(settings, run, events, analyzer, examples)


def _fit(
    settings: Settings,
    run: RunDir,
    events: EventWriter,
    analyzer: InfluenceAnalyzer,
    examples: TokenDataset,
) -> None:
    checked = settle_precision(analyzer, examples, "factors")
    for message in warnings(checked, "factors"):
        events.warning(message)
    seconds: dict[str, float] = {}
    with_covariances = None
    for strategy in _strategies(settings):
        begun = time.monotonic()
        if needs_covariances(strategy):
            if with_covariances:
                copy_covariances(run, source=with_covariances, target=strategy)
            with_covariances = with_covariances or strategy
        fit(analyzer, strategy, examples)
        seconds[strategy] = round(time.monotonic() - begun, 2)
    summary = FactorsSummary(
        strategies=tuple(settings.factors.strategies),
        fisher=settings.factors.fisher,
        modules=tuple(analyzer.modules),
        examples=len(examples),
        preflight=checked,
        seconds=seconds,
        coverage=analyzer.coverage,
    )
    write_factors_summary(run, summary)


def _parts(settings: Settings, examples: int) -> dict[str, float]:
    parts = {PREFLIGHT: PREFLIGHT_EXAMPLES}
    covered = False
    for strategy in _strategies(settings):
        parts |= phases(settings.factors, strategy, examples, has_covariances=covered)
        covered = covered or needs_covariances(strategy)
    return parts


def _strategies(settings: Settings) -> list[str]:
    """Identity comes along: it costs nothing, and the gradient cosine rests on it."""
    return list(dict.fromkeys([*settings.factors.strategies, "identity"]))
