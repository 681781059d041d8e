"""index: every example's gradient as a short vector, so that new prompts are answered in seconds.

Writes index/: the features (see `pipeline/ask/store.py`), examples of added texts (see
`pipeline/ask/parts.py`) and summary.json. A stopped indexing goes on from its last whole chunk.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from pipeline.ask.parts import Part, forget_others, parts, read_part
from pipeline.ask.projection import Projection, require_eigenvectors
from pipeline.ask.store import FeatureStore
from pipeline.batches import token_budget_batches
from pipeline.contract.files import write_json
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.arguments import score_arguments
from pipeline.influence.fitting import require_factors
from pipeline.influence.modules import resolve_modules
from pipeline.memory import exhaustion_explained
from pipeline.model import load_model, load_tokenizer, select_device

CHUNK = 4096
"""Examples of a chunk."""


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Indexes the run's examples.

    Raises:
        HeadwaterError: the first strategy has no eigenvectors.
        MissingResultError: there are no factors.
        DataError: an added text cannot be read.
        ResourceError: out of memory.
    """
    tokenizer = load_tokenizer(run.tokenizer)
    forget_others(settings, run)
    stores = []
    with exhaustion_explained("lower train.batch_tokens"):
        model = load_model(run.model, select_device(settings))
        projection = run_projection(settings, run, model)
        for part in parts(settings, run):
            if part.source:
                read_part(part, settings, run, events, tokenizer)
            store = open_store(settings, run, part, projection)
            fill(store, projection, settings, TokenDataset.of_examples(run, part.examples), events)
            stores.append(store)
    summary = {
        "features": projection.size,
        "examples": sum(store.rows for store in stores),
        "added": sum(store.rows for store in stores[1:]),
        "bytes": sum(store.bytes for store in stores),
    }
    write_json(run.summary("index"), summary)


def open_store(settings: Settings, run: RunDir, part: Part, projection: Projection) -> FeatureStore:
    """The part's features, or an empty store where there are none of these factors."""
    factors = freshness.Done.read("factors", run)
    tag = f"{factors.id if factors else ''} damping {settings.scores.damping}"
    return FeatureStore(part.features, tag, projection.size)


def run_projection(settings: Settings, run: RunDir, model: PreTrainedModel) -> Projection:
    """The projection by the run's own ranking: its first strategy, its damping.

    Raises:
        HeadwaterError: that strategy has no eigenvectors.
        MissingResultError: there are no factors.
    """
    strategy = settings.factors.strategies[0]
    require_eigenvectors(strategy)
    require_factors(run, strategy)
    arguments = score_arguments(settings.scores, per_module=False, prompt_batches=1)
    modules = resolve_modules(model, settings.modules)
    return Projection.of_factors(
        model, run.factors(strategy), arguments, modules, strategy, settings.index.features
    )


def fill(
    store: FeatureStore,
    projection: Projection,
    settings: Settings,
    examples: TokenDataset,
    events: EventWriter,
) -> None:
    """Adds the examples that are not in the store, in their order."""
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
            events.progress(done, len(examples), "examples", "features")
        store.append(features, own)
