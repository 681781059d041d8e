"""What evaluation and benchmarks found: base against trained, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.contract.errors import HeadwaterError, MissingResultError
from pipeline.contract.files import read_json
from pipeline.contract.run.freshness import Done, is_fresh
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings

ModelName = Literal["base", "trained"]
MODELS: tuple[ModelName, ...] = ("base", "trained")
_OLDER = "an earlier version compared these; `headwater run evaluate --force` traces them"


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; None where there is no interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Metric:
    """A text metric over all prompts."""

    name: str
    title: str
    means: dict[ModelName, float]
    difference: Interval
    p_value: float | None
    prompts: int
    verdict: str


@dataclass(frozen=True)
class Origin:
    """An example behind an answer."""

    example_id: str
    place: str
    """Where it was read."""
    score: float
    text: str
    """Its beginning."""


@dataclass(frozen=True)
class ModelAnswer:
    """What one model answered to a prompt."""

    text: str
    ended: str
    """"end", "stop" or "length"."""
    oddity: str
    """"empty", "repetitive" or nothing."""
    scores: dict[str, float]
    copied: int
    """Words of its longest run that stands in the training texts."""
    words: int
    copied_from: str | None
    """The example that holds the run."""
    origins: tuple[Origin, ...]
    """The most influential examples, first the first; none where the answer was not traced."""


@dataclass(frozen=True)
class AnswerPair:
    """Both models' answers to a prompt."""

    id: str
    prompt: str
    expected: str
    answers: dict[ModelName, ModelAnswer]


@dataclass(frozen=True)
class Answers:
    """The outcome of the evaluate stage."""

    metrics: tuple[Metric, ...]
    pairs: tuple[AnswerPair, ...]
    perplexities: dict[ModelName, dict[str, float | None]]
    signatures: dict[str, str]
    warnings: tuple[str, ...]
    traced_by: str
    """The method that ranks the answers' origins; empty where they were not traced."""
    untraced: str
    """Why not."""
    stale: bool

    @property
    def titles(self) -> dict[str, str]:
        """Metrics by name, as a person reads them."""
        return {metric.name: metric.title for metric in self.metrics}


@dataclass(frozen=True)
class Estimate:
    """A benchmark score of one model."""

    score: Interval
    stderr: float | None
    questions: int
    refused: int
    """Questions that do not fit the model and are left out."""


@dataclass(frozen=True)
class Change:
    """Trained minus base on the questions that both answered."""

    difference: Interval
    p_value: float | None
    only_base: int | None
    """Questions that only the base answered rightly; None where scores are not right or wrong."""
    only_trained: int | None
    verdict: str


@dataclass(frozen=True)
class Score:
    """A benchmark's task under one manner of scoring."""

    benchmark: str
    task: str
    scored_by: str
    chance: float
    estimates: dict[ModelName, Estimate] = field(default_factory=dict)
    change: Change | None = None


@dataclass(frozen=True)
class Benchmarks:
    """The outcome of the benchmark stage."""

    scores: tuple[Score, ...]
    shots: dict[str, int]
    limit: int
    """Questions of each that were asked at the most; 0 = all."""
    warnings: tuple[str, ...]
    folder: str
    """Where the answers lie, below the run."""
    stale: bool


def read_answers(run: RunDir) -> Answers:
    """The outcome of the evaluate stage.

    Raises:
        MissingResultError: it has not finished.
    """
    found = _summary(run, "evaluate", "no answers yet: the evaluate stage has not finished")
    origins = found.get("origins") or {"missing": _OLDER}
    return Answers(
        metrics=tuple(map(_metric, found["metrics"])),
        pairs=tuple(map(_pair, found["prompts"])),
        perplexities=found.get("perplexities") or {},
        signatures=found["signatures"],
        warnings=tuple(found["warnings"]),
        traced_by=origins.get("method", ""),
        untraced=origins.get("missing", ""),
        stale=not _fresh(run, "evaluate"),
    )


def read_benchmarks(run: RunDir) -> Benchmarks:
    """The outcome of the benchmark stage.

    Raises:
        MissingResultError: it has not finished.
    """
    found = _summary(run, "benchmark", "no scores yet: the benchmark stage has not finished")
    return Benchmarks(
        scores=tuple(_scores(found)),
        shots=found["shots"],
        limit=found["limit"] or 0,
        warnings=tuple(found["warnings"]),
        folder=found["folder"],
        stale=not _fresh(run, "benchmark"),
    )


def _summary(run: RunDir, stage: str, missing: str) -> dict[str, Any]:
    found = read_json(run.summary(stage))
    if Done.read(stage, run) is None or not isinstance(found, dict):
        hint = f"run {stage} on the run's screen, or by `headwater run {stage} --run {run.name}`"
        raise MissingResultError(missing, hint)
    return found


def _fresh(run: RunDir, stage: str) -> bool:
    try:
        return is_fresh(stage, load_settings(run.settings), run)
    except HeadwaterError:
        return False


def _metric(row: dict[str, Any]) -> Metric:
    return Metric(
        name=row["metric"],
        title=row["title"],
        means={model: row[model] for model in MODELS},
        difference=Interval(row["difference"], row["low"], row["high"]),
        p_value=row["p_value"],
        prompts=row["n"],
        verdict=row["verdict"],
    )


def _pair(row: dict[str, Any]) -> AnswerPair:
    answers = {model: _answer(row[model]) for model in MODELS}
    return AnswerPair(row["prompt_id"], row["prompt"], row["expected"], answers)


def _answer(row: dict[str, Any]) -> ModelAnswer:
    overlap = row["overlap"]
    return ModelAnswer(
        text=row["answer"],
        ended=row["ended"],
        oddity=row["oddity"],
        scores=row["scores"],
        copied=overlap["words"],
        words=overlap["of"],
        copied_from=overlap["example_id"],
        origins=tuple(Origin(**one) for one in row.get("origins", ())),
    )


def _scores(found: dict[str, Any]) -> Iterator[Score]:
    """One score a task and manner of scoring, in the file's order."""
    changes = {_place(row): _change(row) for row in found["comparisons"]}
    by_place: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in found["scores"]:
        by_place.setdefault(_place(row), []).append(row)
    for place, rows in by_place.items():
        estimates = {row["model"]: _estimate(row) for row in rows}
        yield Score(*place, rows[0]["chance"], estimates, changes.get(place))


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["benchmark"], row["task"], row["scored_by"]


def _estimate(row: dict[str, Any]) -> Estimate:
    score = Interval(row["value"], row["low"], row["high"])
    return Estimate(score, row["stderr"], row["n"], row["refused"])


def _change(row: dict[str, Any]) -> Change:
    return Change(
        difference=Interval(row["difference"], row["low"], row["high"]),
        p_value=row["p_value"],
        only_base=row["only_first"],
        only_trained=row["only_second"],
        verdict=row.get("verdict", ""),
    )
