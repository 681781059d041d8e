"""What is validated: a run's prompts, examples and rankings, and the means to train again.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pipeline.contract.results.examples import read_contents, read_document_ids
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.scores import BM25
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.proving import no_retraining
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.settings.schema import Settings, ValidationSettings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.baselines import bm25_of_prompts
from pipeline.influence.greedy_answers import token_dataset, traced_prompts
from pipeline.model import load_tokenizer
from pipeline.sharing.stage import SharedStage
from pipeline.validation.ledger import Outcome
from pipeline.validation.methods import outside_methods, own_methods
from pipeline.validation.retraining import Completions, Retrainer, Training
from pipeline.validation.trainings import Trainings


@dataclass(frozen=True)
class ValidationContext:
    """Everything that the parts of a validation share."""

    settings: Settings
    run: RunDir
    events: EventWriter
    prompts: list[Prompt]
    examples: TokenDataset
    queries: TokenDataset
    documents: list[str]
    """Document id of each example."""
    methods: dict[str, Scores]
    """All rankings, other tools' too."""
    default: str
    """Name of the run's own ranking."""
    compared: dict[str, Scores]
    """The run's own ranking, and BM25 beside it."""
    completions: Completions
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, settings: Settings, run: RunDir, events: EventWriter) -> ValidationContext:
        """Reads the run.

        Raises:
            SettingsError: a file of validation.outside is of no use.
        """
        tokenizer = load_tokenizer(run.tokenizer)
        traced = traced_prompts(run, settings.prompts.use_generated, tokenizer)
        prompts = [one.prompt for one in traced]
        methods, default = own_methods(run)
        if (bm25 := methods.get(BM25)) is None:
            bm25 = bm25_of_prompts(prompts, read_contents(run))
        outside = outside_methods(settings.validation.outside, methods[default].shape)
        context = cls(
            settings=settings,
            run=run,
            events=events,
            prompts=prompts,
            examples=TokenDataset.of_examples(run),
            queries=token_dataset(traced),
            documents=read_document_ids(run),
            methods=methods | outside,
            default=default,
            compared={default: methods[default], BM25: bm25},
            completions=Completions(traced, settings.train.batch_tokens),
        )
        if (reason := context.no_retraining) and settings.validation != context.wanted:
            context.warn(f"removal and the linear datamodeling score are left out: {reason}")
        return context

    @property
    def wanted(self) -> ValidationSettings:
        """The [validation] settings, without what cannot be done."""
        asked = self.settings.validation
        return asked.model_copy(update={"seeds": 0, "subsets": 0}) if self.no_retraining else asked

    @cached_property
    def no_retraining(self) -> str:
        """Why no model can be trained again; empty where one can."""
        return no_retraining(self.settings, self.run)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.settings.run.seed

    @cached_property
    def retrainer(self) -> Retrainer:
        """Trains again, and knows what earlier trainings came to."""
        return Retrainer(self.settings, self.run, self.completions)

    def warn(self, message: str) -> None:
        """Emits a warning, which the summary repeats."""
        self.events.warning(message)
        self.warnings.append(message)

    def outcomes(
        self, phase: str, trainings: list[Training], sharing: SharedStage | None = None
    ) -> list[Outcome]:
        """ln p of the completions [Q] after each training, with progress events; `sharing`: with
        whom the trainings are shared."""
        self.retrainer.keep_own(trainings)
        work = Trainings(phase, trainings, self.retrainer, self.run)
        work.do(sharing, self.settings, self.events)
        outcomes = work.outcomes(trainings)
        failed = sum(bool(np.isnan(outcome).any()) for outcome in outcomes)
        if failed:
            self.warn(f"{phase}: {failed} of {len(outcomes)} trainings diverged and are left out")
        return outcomes
