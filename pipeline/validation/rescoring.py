"""The run's scores computed again with another damping, or with other sampled labels."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from pipeline.contract.results.ranks import Scores, highest_first
from pipeline.contract.results.validation import Agreement
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.influence import scoring
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.baselines import normalized
from pipeline.influence.fitting import fit, link_factors, phases
from pipeline.influence.settled import settled
from pipeline.model import load_traced
from pipeline.validation.context import ValidationContext
from pipeline.validation.lds import spearman

STABILITY_TOP = 10
"""First examples of two rankings that are compared."""


def dampings(context: ValidationContext) -> dict[str, Scores]:
    """Scores [Q, N] of the run's first strategy under each other damping, by name."""
    rescoring = _Rescoring(context)
    return {
        f"{context.default}, damping {damping:g}": rescoring.damped(damping)
        for damping in context.wanted.dampings
    }


def refits(context: ValidationContext) -> list[Scores]:
    """Scores [Q, N] with the curvature fitted on labels sampled from other seeds.

    Empty where nothing is sampled.
    """
    rescoring = _Rescoring(context)
    return [rescoring.fitted_again(seed) for seed in _seeds(context)]


def parts(context: ValidationContext) -> tuple[dict[str, float], dict[str, float]]:
    """The phases of `dampings` and of `refits`, and how many examples' passes each is."""
    strategy, examples = context.settings.factors.strategies[0], len(context.examples)
    scored = scoring.phases(strategy, len(context.queries), examples)
    fitted = phases(context.settings.factors, strategy, examples, has_covariances=False)
    damped = {
        f"{damping_phases(damping)}{name}": weight
        for damping in context.wanted.dampings
        for name, weight in scored.items()
    }
    again = {
        f"{refit_phases(seed)}{name}": weight
        for seed in _seeds(context)
        for name, weight in {**fitted, **scored}.items()
    }
    return damped, again


def damping_phases(damping: float) -> str:
    """What stands before the phases of another damping."""
    return f"damping {damping:g} · "


def refit_phases(seed: int) -> str:
    """What stands before the phases of a curvature fitted again."""
    return f"fit {seed} · "


def _seeds(context: ValidationContext) -> range:
    """Of the labels that the curvature is fitted on again."""
    wanted = context.wanted.fisher_seeds if context.settings.factors.fisher == "true" else 0
    return range(context.seed + 1, context.seed + 1 + wanted)


class _Rescoring:
    """Scores as the scores stage does, in folders beside the run's own."""

    def __init__(self, context: ValidationContext) -> None:
        self._context = context
        self._run = context.run
        self._settings = settled(context.settings, context.run)
        self._strategy = context.settings.factors.strategies[0]

    def damped(self, damping: float) -> Scores:
        """From the run's own factors."""
        scores = self._settings.scores.model_copy(update={"damping": damping})
        variant = self._run.variant(f"damping_{damping:g}")
        link_factors(self._run, variant, self._strategy)
        settings = self._settings.model_copy(update={"scores": scores})
        return self._score(self._analyzer(settings, variant, damping_phases(damping)))

    def fitted_again(self, seed: int) -> Scores:
        """From factors of its own."""
        chosen = self._settings.run.model_copy(update={"seed": seed})
        settings = self._settings.model_copy(update={"run": chosen})
        variant = self._run.variant(f"fisher_{seed}")
        analyzer = self._analyzer(settings, variant, refit_phases(seed))
        fit(analyzer, self._strategy, self._context.examples)
        return self._score(analyzer)

    def _analyzer(self, settings: Settings, variant: RunDir, phases_of: str) -> InfluenceAnalyzer:
        self._context.events.doing(f"{phases_of}loading the model")
        model = load_traced(settings, self._run.model)
        return InfluenceAnalyzer(settings, variant, self._context.events, model, phases_of)

    def _score(self, analyzer: InfluenceAnalyzer) -> Scores:
        queries, examples = self._context.queries, self._context.examples
        by_module = scoring.pairwise_scores(analyzer, self._strategy, queries, examples)
        raw: Scores = scoring.sum_modules(by_module).numpy()
        if not self._settings.scores.normalize:
            return raw
        own = scoring.self_influence(analyzer, self._strategy, queries, examples).numpy()
        return normalized(raw, own)


def agreement(first: Scores, second: Scores) -> Agreement:
    """Of two tables [Q, N]; examples without a score rank last."""
    ranks = [rankdata(np.where(np.isnan(s), -np.inf, s), axis=1) for s in (first, second)]
    correlations = spearman(ranks[0].T, ranks[1].T)
    top = min(STABILITY_TOP, first.shape[1])
    shared = [
        len(np.intersect1d(highest_first(a, top), highest_first(b, top))) / top
        for a, b in zip(first, second, strict=True)
    ]
    mean, least = float(correlations.mean()), float(correlations.min())
    return Agreement(mean, least, float(np.mean(shared)))
