"""Helps a stage of influence: computes partitions of its passes, pass after pass."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import POLL_S, Offer, read_offer
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence import fitting, scoring
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.greedy_answers import token_dataset, traced_prompts
from pipeline.influence.presence import Presence
from pipeline.influence.sharing import Helper
from pipeline.model import load_tokenizer, load_traced


def help_stage(stage: str, settings: Settings, run: RunDir, begun: Offer) -> None:
    """Computes partitions until the stage ends, or the process that started this one does.

    `begun`: an offer of the stage, for which settings and versions have been compared.

    Raises:
        UsageError: a pass has other arguments here than in the stage.
        ResourceError: not even one example fits into memory.
    """
    parent = os.getppid()
    examples = TokenDataset.of_examples(run)
    model = load_traced(settings, run.model)
    # the events of a run are its stages'
    silent = EventWriter(Path(os.devnull), stage)
    analyzer = InfluenceAnalyzer(settings, run, silent, model)
    with Presence(stage, run, str(model.device)) as presence:
        while os.getppid() == parent:
            offer = read_offer(run, stage)
            if offer is None or offer.token != begun.token:
                return
            if work := _work(offer, analyzer, examples):
                analyzer.take_up(Settings.model_validate(offer.settings))
                analyzer.sharing = Helper(stage, run, offer, presence)
                with _while_offered(run, stage, offer):
                    work()
            time.sleep(POLL_S)


def _work(
    offer: Offer, analyzer: InfluenceAnalyzer, examples: TokenDataset
) -> Callable[[], None] | None:
    """The pass that is offered; None where there is none that this worker knows."""
    strategy, _, name = offer.phase.partition(" ")

    def prompts() -> TokenDataset:
        run, generated = analyzer.run, analyzer.settings.prompts.use_generated
        return token_dataset(traced_prompts(run, generated, load_tokenizer(run.tokenizer)))

    return {
        "covariance": lambda: fitting.fit_covariances(analyzer, strategy, examples),
        "lambda": lambda: fitting.fit_lambda(analyzer, strategy, examples),
        "scores": lambda: scoring.pairwise_parts(analyzer, strategy, prompts(), examples),
        "self-influence": lambda: scoring.self_influence_parts(
            analyzer, strategy, prompts(), examples
        ),
    }.get(name)


@contextmanager
def _while_offered(run: RunDir, stage: str, offer: Offer) -> Iterator[None]:
    """Context that ends quietly where files are gone because the stage has gone on."""
    try:
        yield
    except FileNotFoundError:
        if read_offer(run, stage) == offer:
            raise
