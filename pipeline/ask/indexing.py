"""Opens the gradient features of a run's examples, and what computes them."""

from __future__ import annotations

from transformers import PreTrainedModel

from pipeline.ask.parts import Part
from pipeline.ask.projection import Projection, require_eigenvectors
from pipeline.ask.store import FeatureStore
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.influence.arguments import score_arguments
from pipeline.influence.experts import separate_experts
from pipeline.influence.fitting import require_factors
from pipeline.influence.modules import resolve_modules
from pipeline.influence.settled import settled


def open_store(settings: Settings, run: RunDir, part: Part, projection: Projection) -> FeatureStore:
    """Opens the part's features; empty where there are none of the current factors."""
    factors = freshness.Done.read("factors", run)
    tag = f"{factors.id if factors else ''} damping {settings.scores.damping}"
    return FeatureStore(part.features, tag, projection.size)


def run_projection(settings: Settings, run: RunDir, model: PreTrainedModel) -> Projection:
    """Makes the projection that matches the run's ranking: its first strategy, its damping.

    Raises:
        HeadwaterError: that strategy has no eigenvectors.
        MissingResultError: there are no factors.
    """
    strategy = settings.factors.strategies[0]
    require_eigenvectors(strategy)
    require_factors(run, strategy)
    arguments = score_arguments(settled(settings, run).scores, per_module=False, prompt_batches=1)
    separate_experts(model)
    modules = resolve_modules(model, settings.modules)
    return Projection.of_factors(
        model, run.factors(strategy), arguments, modules, strategy, settings.index.features
    )
