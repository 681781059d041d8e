"""What the benchmark stage found: the models' scores on public benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pipeline.contract.files import write_json
from pipeline.contract.results.common import Loaded, load, read_record, write_record
from pipeline.contract.results.generation import ModelName
from pipeline.contract.results.verdict import Difference, Estimate, Verdict
from pipeline.contract.run.run_dir import RunDir

PUBLISHED_SCORES = "task_model_scores.json"
"""What the field's tools look for in the folder of a benchmarking."""
WHOLE = "all tasks"
"""The task of a score over all tasks of a benchmark."""

WAYS = ("letters", "texts", "written")
"""How a question is put: its choices' letters are ranked, or their texts, or the answer written."""
BY_LENGTH = "_by_length"
"""Ends a scoring that divides log-likelihoods by the choices' lengths in characters."""
MASS = "_mass"
"""Ends a scoring by the right choices' share of all choices' probability."""

SCORINGS: Mapping[str, str] = {
    "letters": "letters",
    "texts": "texts",
    f"texts{BY_LENGTH}": "texts by length",
    f"texts{MASS}": "probability",
    "written": "written",
    "written_f1": "written, F1",
    "written_share": "written, rules",
}
"""How answers are scored, for reading."""


def scoring_title(scored_by: str) -> str:
    """A scoring in words; one that is not known is called by its name."""
    return SCORINGS.get(scored_by, scored_by)


def way_of(scored_by: str) -> str:
    """The way in which a scoring's questions are put: its name begins with it."""
    return next(way for way in WAYS if scored_by.startswith(way))


@dataclass(frozen=True)
class BenchmarkScore(Estimate):
    """One model's score on a task under one scoring; shares of 1."""

    benchmark: str
    task: str
    scored_by: str
    model: ModelName
    refused: int
    """Questions that do not fit the model and are left out."""
    chance: float
    """What guessing would score on average."""


@dataclass(frozen=True)
class BenchmarkComparison(Difference):
    """Trained minus base on the questions that both answered."""

    benchmark: str
    task: str
    scored_by: str
    only_first: int | None
    """Questions that only the base answered rightly; None where scores are not right or wrong."""
    only_second: int | None
    """Questions that only the trained model answered rightly."""
    verdict: Verdict


@dataclass(frozen=True)
class TaskScores:
    """A task under one scoring: all models' scores, and how they compare."""

    benchmark: str
    task: str
    scored_by: str
    chance: float
    models: dict[ModelName, BenchmarkScore]
    comparison: BenchmarkComparison | None


@dataclass(frozen=True)
class Benchmarks:
    """The stage's summary."""

    folder: str
    """Where the questions and answers lie, below the run."""
    deepeval: str
    """DeepEval's version."""
    models: dict[ModelName, str]
    """Where they were loaded from."""
    shots: dict[str, int]
    """Few-shot examples by benchmark."""
    limit: int
    """Questions of each benchmark or task that were asked at most; 0 = all."""
    scores: tuple[BenchmarkScore, ...]
    comparisons: tuple[BenchmarkComparison, ...]
    skipped: dict[str, str]
    """Benchmark → why it was not run."""
    warnings: tuple[str, ...]
    seconds: dict[ModelName, float]

    def tasks(self) -> list[TaskScores]:
        """One a task and scoring, in the order in which they were scored."""
        compared = {_task(row): row for row in self.comparisons}
        tasks: dict[tuple[str, str, str], TaskScores] = {}
        for row in self.scores:
            task = _task(row)
            new = TaskScores(*task, row.chance, {}, compared.get(task))
            tasks.setdefault(task, new).models[row.model] = row
        return list(tasks.values())


def _task(row: BenchmarkScore | BenchmarkComparison) -> tuple[str, str, str]:
    return row.benchmark, row.task, row.scored_by


def write_benchmarks(run: RunDir, benchmarks: Benchmarks) -> None:
    """Writes the stage's summary, and beside the answers what the field's tools look for."""
    published = asdict(benchmarks)
    folder = run.root / published.pop("folder")
    write_json(folder / PUBLISHED_SCORES, published)
    write_record(run.summary("benchmark"), benchmarks)


def read_benchmarks(run: RunDir) -> Benchmarks:
    """The stage's summary.

    Raises:
        MissingResultError, DamagedResultError: it cannot be read.
    """
    return read_record(run, "benchmark", run.summary("benchmark"), Benchmarks)


def load_benchmarks(run: RunDir) -> Loaded[Benchmarks]:
    """The summary of a finished stage.

    Raises:
        MissingResultError, DamagedResultError: it has not finished, or cannot be read.
    """
    return load(run, "benchmark", read_benchmarks)
