"""Another worker's part in factors and scores: it computes partitions of their passes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import Offer
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence import fitting, scoring
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.greedy_answers import token_dataset, traced_prompts
from pipeline.model import load_tokenizer, load_traced
from pipeline.sharing.stage import Helper


class _Helping:
    def __init__(self, stage: str, settings: Settings, run: RunDir) -> None:
        self._examples = TokenDataset.of_examples(run)
        model = load_traced(settings, run.model)
        self.device = str(model.device)
        # the events of a run are its stages'
        silent = EventWriter(Path(os.devnull), stage)
        self._analyzer = InfluenceAnalyzer(settings, run, silent, model)

    def work(self, offer: Offer) -> Callable[[Helper], None] | None:
        compute = self._pass(offer.phase)
        if compute is None:
            return None

        def work(helper: Helper) -> None:
            self._analyzer.take_up(Settings.model_validate(offer.settings))
            self._analyzer.sharing = helper
            compute()

        return work

    def _pass(self, phase: str) -> Callable[[], None] | None:
        """The pass of this name; None where there is none that this worker knows."""
        strategy, _, name = phase.partition(" ")
        analyzer, examples = self._analyzer, self._examples
        return {
            "covariance": lambda: fitting.fit_covariances(analyzer, strategy, examples),
            "lambda": lambda: fitting.fit_lambda(analyzer, strategy, examples),
            "scores": lambda: scoring.pairwise_parts(analyzer, strategy, self._prompts(), examples),
            "self-influence": lambda: scoring.self_influence_parts(
                analyzer, strategy, self._prompts(), examples
            ),
        }.get(name)

    def _prompts(self) -> TokenDataset:
        run, generated = self._analyzer.run, self._analyzer.settings.prompts.use_generated
        return token_dataset(traced_prompts(run, generated, load_tokenizer(run.tokenizer)))


def helping(stage: str, settings: Settings, run: RunDir) -> _Helping:
    """What does parts of the stage, see `pipeline.worker.Helping`."""
    return _Helping(stage, settings, run)
