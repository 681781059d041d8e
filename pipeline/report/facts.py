"""What the report tells, gathered from a run's files.

Only what a finished and fresh stage wrote is read; anything else is None and shown as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pipeline.contract.errors import MissingResultError
from pipeline.contract.files import Json, read_object, read_text
from pipeline.contract.results.answers import GreedyAnswer, read_answers
from pipeline.contract.results.benchmarks import Benchmarks, read_benchmarks
from pipeline.contract.results.common import Loaded
from pipeline.contract.results.evaluation import Evaluation, read_evaluation
from pipeline.contract.results.examples import CorpusSummary, read_corpus_summary
from pipeline.contract.results.factors import Coverage, read_factors_summary
from pipeline.contract.results.generation import read_generation
from pipeline.contract.results.learning_curves import (
    LOSS,
    VALIDATION_LOSS,
    Curves,
    learning_curves,
)
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.proofs import Proof, load_proofs
from pipeline.contract.results.score_file import ScoreMetadata
from pipeline.contract.results.scores import ScoresSummary, read_scores_summary
from pipeline.contract.results.spectra import Spectrum, read_spectra, read_summary
from pipeline.contract.results.training import TrainingSummary, read_training
from pipeline.contract.results.validation import ValidationSummary, read_validation
from pipeline.contract.run.attempts import Attempt, read_attempts
from pipeline.contract.run.events import EventReader, Metric
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.run.status import StageStatus, run_status
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.settings.schema import Settings
from pipeline.report.prompt_rankings import PromptRanking, Rankings

T = TypeVar("T")

TOLD_PROMPTS = 100
"""Prompts, the first of the run's, that are told in full: the page of ten thousand would be
hundreds of megabytes, which no browser opens."""


class _HasWarnings(Protocol):
    """A summary that holds warnings."""

    @property
    def warnings(self) -> tuple[str, ...]: ...


_SUMMARIES: Mapping[str, Callable[[RunDir], _HasWarnings]] = {
    "scores": read_scores_summary,
    "inspect": read_summary,
    "generate": read_generation,
    "evaluate": read_evaluation,
    "benchmark": read_benchmarks,
    "validate": read_validation,
}
"""Stages whose summaries hold warnings."""


@dataclass(frozen=True)
class StageFacts:
    """A stage's state, and what it took."""

    status: StageStatus
    rss: int | None
    """Most memory of the process seen at once, bytes."""
    gpu: int | None
    """Most memory that torch held on the GPU, bytes; None where it used none."""


@dataclass(frozen=True)
class PromptFacts:
    """A prompt, the model's own answer, and the examples behind the completion."""

    prompt: Prompt
    generated: str | None
    correct: bool | None
    ranking: PromptRanking | None
    proofs: Sequence[Loaded[Proof]]
    """What was proven of its examples, the newest first."""


@dataclass(frozen=True)
class RunFacts:
    """Everything that the report tells; None = missing."""

    name: str
    manifest: Json
    """As it is: only printed."""
    changed: list[tuple[str, Any, Any]]
    """Settings that differ from the defaults: key, value, default."""
    settings_text: str
    stages: list[StageFacts]
    missing: dict[str, str]
    """Stage → why its results are not here."""
    unasked: dict[str, tuple[str, str]]
    """Stage that nobody has asked for → what it makes, and the command that runs it."""
    warnings: list[tuple[str, str]]
    """Stage and message."""
    corpus: CorpusSummary | None
    training: TrainingSummary | None
    curves: Curves
    scores: ScoresSummary | None
    account: ScoreMetadata | None
    """What the score file says of itself: sign, scale, strategy, damping, Fisher, precision."""
    generated_traced: bool
    """The scores are of the model's own answers, not of the given completions."""
    prompts: list[PromptFacts]
    """Those that are told in full."""
    prompt_count: int
    """All of the run's."""
    coverage: Coverage | None
    """What share of the chosen weights is traced."""
    spectra: tuple[Spectrum, ...] | None
    evaluation: Evaluation | None
    """Both models' answers and their comparison."""
    benchmark: Benchmarks | None
    """Scores and comparisons."""
    validation: ValidationSummary | None

    @property
    def left_out(self) -> str:
        """Which prompts are not told in full, and where they are; empty where all are told."""
        told = len(self.prompts)
        if told == self.prompt_count:
            return ""
        return (
            f"The first {told:,} of {self.prompt_count:,} prompts are told here. Those of all are "
            "in scores/rankings.parquet, which headwater rank RUN --prompt ID reads, and in "
            "comparison_results/model_comparison.csv."
        )


def gather(settings: Settings, run: RunDir) -> RunFacts:
    """Reads the run."""
    attempts = read_attempts(run)
    statuses = [s for s in run_status(run, settings, attempts) if s.stage != "report"]
    done = {status.stage for status in statuses if status.state == "done"}
    asked = read_prompts(run) if "prepare" in done else []
    told = asked[:TOLD_PROMPTS]
    rankings = _rankings(run, told) if "scores" in done else None
    last = {status.stage: attempts.get(status.stage, Attempt()) for status in statuses}
    return RunFacts(
        name=run.name,
        manifest=read_object(run.manifest) or {},
        changed=changed_settings(settings),
        settings_text=read_text(run.settings) if run.settings.exists() else "",
        stages=[_stage_facts(status, last[status.stage]) for status in statuses],
        missing={s.stage: _reason(s) for s in statuses if s.stage not in done and not s.unasked},
        unasked=_unasked(run, statuses),
        warnings=_warnings(run, last, done),
        corpus=_found(read_corpus_summary, run) if "prepare" in done else None,
        training=_found(read_training, run) if "train" in done else None,
        curves=_curves(run) if "train" in done else {},
        scores=_found(read_scores_summary, run) if "scores" in done else None,
        account=rankings.metadata if rankings else None,
        generated_traced=settings.prompts.use_generated,
        prompts=_prompts(run, told, rankings),
        prompt_count=len(asked),
        coverage=_coverage(run) if "factors" in done else None,
        spectra=_found(read_spectra, run) if "inspect" in done else None,
        evaluation=_found(read_evaluation, run) if "evaluate" in done else None,
        benchmark=_found(read_benchmarks, run) if "benchmark" in done else None,
        validation=_found(read_validation, run) if "validate" in done else None,
    )


def _found(read: Callable[[RunDir], T], run: RunDir) -> T | None:
    """What a finished stage wrote, or None where its file is gone."""
    try:
        return read(run)
    except MissingResultError:
        return None


def _coverage(run: RunDir) -> Coverage | None:
    summary = _found(read_factors_summary, run)
    return summary.coverage if summary else None


def changed_settings(settings: Settings) -> list[tuple[str, Any, Any]]:
    """Key, value and default of every setting that is not at its default."""
    changed: list[tuple[str, Any, Any]] = []
    for section in Settings.model_fields:
        chosen = getattr(settings, section)
        default = type(chosen)()
        for key in type(chosen).model_fields:
            value, usual = getattr(chosen, key), getattr(default, key)
            if value != usual:
                changed.append((f"{section}.{key}", value, usual))
    return changed


def _curves(run: RunDir) -> Curves:
    return learning_curves(EventReader(run.events, (Metric,)).stream(), (LOSS, VALIDATION_LOSS))


def _stage_facts(status: StageStatus, attempt: Attempt) -> StageFacts:
    return StageFacts(status, attempt.most_rss or None, attempt.most_gpu or None)


def _unasked(run: RunDir, statuses: Sequence[StageStatus]) -> dict[str, tuple[str, str]]:
    shown = STAGES["report"].uses
    stages = [STAGES[one.stage] for one in statuses if one.unasked and one.stage in shown]
    return {stage.name: (stage.makes, stage.command(run.name)) for stage in stages}


def _reason(status: StageStatus) -> str:
    if status.state == "stale":
        return f"{status.stage} finished with other settings or inputs than now"
    if status.state == "waiting":
        return f"{status.stage} has not been run"
    why = f": {status.message.splitlines()[0]}" if status.message else ""
    return f"{status.stage} has not finished ({status.state}){why}"


def _warnings(
    run: RunDir, attempts: Mapping[str, Attempt], done: set[str]
) -> list[tuple[str, str]]:
    """Those of the last attempts, and those of the summaries, which outlive the events."""
    messages: dict[tuple[str, str], None] = {}
    for stage, attempt in attempts.items():
        warned = [event.message for event in attempt.warnings]
        summary = _found(_SUMMARIES[stage], run) if stage in done and stage in _SUMMARIES else None
        noted = summary.warnings if summary else ()
        messages.update(dict.fromkeys((stage, message) for message in (*warned, *noted)))
    return list(messages)


def _rankings(run: RunDir, prompts: Sequence[Prompt]) -> Rankings | None:
    return _found(lambda run: Rankings(run, [prompt.id for prompt in prompts]), run)


def _prompts(
    run: RunDir, prompts: Sequence[Prompt], rankings: Rankings | None
) -> list[PromptFacts]:
    answers = _found(read_answers, run) if rankings else None
    proofs = load_proofs(run)
    return [_prompt(prompt, (answers or {}).get(prompt.id), rankings, proofs) for prompt in prompts]


def _prompt(
    prompt: Prompt,
    answer: GreedyAnswer | None,
    rankings: Rankings | None,
    proofs: Sequence[Loaded[Proof]],
) -> PromptFacts:
    return PromptFacts(
        prompt=prompt,
        generated=answer.generated if answer else None,
        correct=answer.correct if answer else None,
        ranking=rankings.of_prompt(prompt.id) if rankings else None,
        proofs=[one for one in proofs if one.value.claim.prompt == prompt.id],
    )
