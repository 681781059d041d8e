"""benchmark: what the base and the trained model know, by public benchmarks through DeepEval.

Writes deepeval_results/run_<time>/ (task_model_scores.json and questions.parquet, a row an answer)
and summary.json, which names that folder. Answers are kept one by one, so a stopped benchmarking
goes on where it was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import transformers

from pipeline.contract.results.benchmark_questions import (
    BenchmarkAnswer,
    write_questions,
)
from pipeline.contract.results.benchmarks import Benchmarks, write_benchmarks
from pipeline.contract.results.generation import ModelName
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.chat import require_template
from pipeline.evaluation.benchmarks.answer_parts import AnswerParts
from pipeline.evaluation.benchmarks.answering import (
    AnsweringModel,
    load_answering,
    phase_of,
    ways_asked,
)
from pipeline.evaluation.benchmarks.benchmark import Benchmark
from pipeline.evaluation.catalogue import all_questions, ready
from pipeline.evaluation.questions import BenchmarkQuestion
from pipeline.evaluation.score_sheet import Sheet
from pipeline.memory import exhaustion_explained
from pipeline.model import load_tokenizer, require_base, select_device
from pipeline.sharing.stage import SharedStage, shared_stage

_MEMORY_ADVICE = "lower benchmark.batch_tokens"


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Puts every chosen question to every chosen model.

    Raises:
        ModelError: the base shall answer, and there is none.
        SettingsError: there is no such task, or too many few-shot examples are asked for.
        DataError: rows are missing or lack columns.
        HubUnreachableError: the hub does not answer.
        ModelError: a chat template is asked for and there is none.
        ResourceError: out of memory.
    """
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings: list[str] = []
    events.doing("reading the questions")
    benchmarks, skipped = ready(settings)
    if settings.benchmark.chat_template:
        require_template(load_tokenizer(run.tokenizer), "benchmark.chat_template = true")
    warnings += [f"{name} is skipped: {reason}" for name, reason in skipped.items()]
    questions = all_questions(benchmarks)
    if "base" in settings.benchmark.models:
        require_base(run)
    events.plan(_parts(settings, questions))
    answers: dict[str, dict[ModelName, list[BenchmarkAnswer]]] = {b.name: {} for b in benchmarks}
    seconds: dict[ModelName, float] = {}
    device = str(select_device(settings))
    with shared_stage("benchmark", settings, run, events, device) as sharing:
        for name in settings.benchmark.models:
            begun = time.monotonic()
            with exhaustion_explained(_MEMORY_ADVICE):
                for benchmark, given in _answers(settings, run, events, name, benchmarks, sharing):
                    answers[benchmark.name][name] = given
            seconds[name] = round(time.monotonic() - begun, 2)
    sheets = [Sheet(b, questions[b.name], answers[b.name]) for b in benchmarks]
    most = settings.benchmark.max_new_tokens
    warnings += [message for sheet in sheets for message in _cautions(sheet, most)]
    for message in warnings:
        events.warning(message)
    summary = _summary(settings, run, sheets, seconds, skipped, warnings)
    write_questions(run, summary.folder, (row for sheet in sheets for row in sheet.rows()))
    write_benchmarks(run, summary)


def _summary(
    settings: Settings,
    run: RunDir,
    sheets: list[Sheet],
    seconds: dict[ModelName, float],
    skipped: dict[str, str],
    warnings: list[str],
) -> Benchmarks:
    folder = run.benchmark_results(time.strftime("%Y-%m-%d_%H-%M-%S"))
    seed = settings.run.seed
    return Benchmarks(
        folder=os.path.relpath(folder, run.root),
        deepeval=metadata.version("deepeval"),
        models={name: str(_folder(run, name)) for name in settings.benchmark.models},
        shots={sheet.benchmark.name: sheet.benchmark.n_shots for sheet in sheets},
        limit=settings.benchmark.limit,
        scores=tuple(score for sheet in sheets for score in sheet.scores(seed)),
        comparisons=tuple(one for sheet in sheets for one in sheet.comparisons(seed)),
        skipped=skipped,
        warnings=tuple(warnings),
        seconds=seconds,
    )


def _parts(
    settings: Settings, questions: Mapping[str, Sequence[BenchmarkQuestion]]
) -> dict[str, float]:
    """One a model and benchmark, by the number of its questions and the ways to ask them."""
    ask = settings.benchmark.ask
    return {
        phase_of(benchmark, model): sum(len(ways_asked(question, ask)) for question in asked)
        for model in settings.benchmark.models
        for benchmark, asked in questions.items()
    }


def _folder(run: RunDir, model: ModelName) -> Path:
    return run.base if model == "base" else run.model


def _answers(
    settings: Settings,
    run: RunDir,
    events: EventWriter,
    name: ModelName,
    benchmarks: list[Benchmark],
    sharing: SharedStage,
) -> Iterator[tuple[Benchmark, list[BenchmarkAnswer]]]:
    """Gives (benchmark, its answers by the model `name`) one after the other."""
    events.doing(f"loading the {name} model")
    asked = _Shared(load_answering(settings, run, name), settings, run, events, sharing)
    for benchmark in benchmarks:
        benchmark.evaluate(asked)
        yield benchmark, asked.given


class _Shared:
    """A model that is asked together with other workers."""

    def __init__(
        self,
        model: AnsweringModel,
        settings: Settings,
        run: RunDir,
        events: EventWriter,
        sharing: SharedStage,
    ) -> None:
        self._model, self._settings, self._run = model, settings, run
        self._events, self._sharing = events, sharing
        self.given: list[BenchmarkAnswer] = []
        """The answers to the benchmark that was put last."""

    def answer(
        self, benchmark: Benchmark, questions: list[BenchmarkQuestion]
    ) -> list[BenchmarkAnswer]:
        parts = AnswerParts(benchmark, questions, self._model, self._settings, self._run)
        self.given = parts.answer(self._sharing, self._events)
        return self.given


def _cautions(sheet: Sheet, max_new_tokens: int) -> list[str]:
    """What a reader of the scores should know."""
    name, cautions = sheet.benchmark.name, []
    if cut := sheet.cut():
        cautions.append(
            f"{name}: {cut:,} of {len(sheet):,} prompts are longer than the model's context and "
            "were cut on their left, where examples and instructions stand; the questions are whole"
        )
    if refused := sheet.refused():
        room = (
            f", with benchmark.max_new_tokens = {max_new_tokens} for the answer"
            if sheet.refused_written()
            else ""
        )
        cautions.append(
            f"{name}: {refused:,} of {len(sheet):,} questions do not fit into the model's context "
            f"even without examples{room}; they are left out of the scores"
        )
    return cautions
