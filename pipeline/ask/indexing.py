"""Computes and opens the gradient features of a run's examples."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from pipeline.ask.parts import Part
from pipeline.ask.projection import Projection, require_eigenvectors
from pipeline.ask.store import FeatureStore
from pipeline.batches import token_budget_batches
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.arguments import score_arguments
from pipeline.influence.experts import separate_experts
from pipeline.influence.fitting import require_factors
from pipeline.influence.modules import resolve_modules
from pipeline.influence.settled import settled

CHUNK = 4096
"""Examples of a chunk."""


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


def fill_store(
    store: FeatureStore,
    projection: Projection,
    settings: Settings,
    examples: TokenDataset,
    events: EventWriter,
    phase: str,
) -> None:
    """Computes and adds the features of the examples that are not in the store, in order."""
    for start in range(store.rows, len(examples), CHUNK):
        rows = range(start, min(start + CHUNK, len(examples)))
        features = torch.empty(len(rows), projection.size)
        own = torch.empty(len(rows))
        done = start
        lengths = [examples.lengths[index] for index in rows]
        for batch in token_budget_batches(lengths, settings.train.batch_tokens):
            padded = pad_batch([examples[start + place] for place in batch])
            features[batch], own[batch] = (found.cpu() for found in projection.features(padded))
            done += len(batch)
            events.progress(done, len(examples), "examples", phase)
        store.append(features, own)
