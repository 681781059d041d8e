"""index: every example's gradient as a short vector, so that new prompts are answered in seconds.

Writes index/: the features (see `pipeline/ask/store.py`), examples of added texts (see
`pipeline/ask/parts.py`), the model's losses on some texts, to compare prompts with, and
summary.json. A stopped indexing goes on from its last whole chunk.
"""

from __future__ import annotations

from pipeline.ask.chunks import Chunks
from pipeline.ask.indexing import open_store, run_projection
from pipeline.ask.likelihood import LOSSES, TEXTS, text_losses
from pipeline.ask.parts import forget_others, parts, read_part
from pipeline.contract.results.index import (
    STAGE,
    IndexSummary,
    write_index_summary,
    write_text_losses,
)
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.memory import exhaustion_explained
from pipeline.model import embedding_count, load_tokenizer, load_traced
from pipeline.sharing.stage import shared_stage


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
    with exhaustion_explained("lower train.batch_tokens"):
        events.doing("loading the model")
        model = load_traced(settings, run.model)
        projection = run_projection(settings, run, model)
        wanted = parts(settings, run)
        embeddings = embedding_count(model.config)
        for part in wanted:
            if part.source:
                read_part(part, settings, run, events, tokenizer, embeddings)
        texts = {part: TokenDataset.of_examples(run, part.examples) for part in wanted}
        counts = {part.phase: float(len(examples)) for part, examples in texts.items()}
        events.plan({**counts, LOSSES: TEXTS})
        stores = [open_store(settings, run, part, projection) for part in wanted]
        chunks = [
            Chunks(part.phase, store, projection, examples)
            for store, (part, examples) in zip(stores, texts.items(), strict=True)
        ]
        with shared_stage(STAGE, settings, run, events, str(model.device)) as sharing:
            for work in chunks:
                work.fill(sharing, settings, events)
        write_text_losses(run, text_losses(run, model, events))
    summary = IndexSummary(
        features=projection.size,
        examples=sum(store.rows for store in stores),
        added=sum(store.rows for store in stores[1:]),
        bytes=sum(store.bytes for store in stores),
    )
    write_index_summary(run, summary)
