"""What the report's figures show, read from the run's own results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.benchmarks import read_benchmarks, scoring_title
from pipeline.contract.results.evaluation import read_evaluation
from pipeline.contract.results.learning_curves import LOSS, VALIDATION_LOSS, learning_curves
from pipeline.contract.results.spectra import TITLES, read_spectra
from pipeline.contract.results.validation import Part, findings, read_validation
from pipeline.contract.results.verdict import Difference, Estimate
from pipeline.contract.run.events import EventReader, Metric
from pipeline.contract.run.run_dir import RunDir
from tui.readers.curve import Curve
from tui.readers.window import LAYERS, STEPS, Axis


@dataclass(frozen=True)
class Estimated:
    """A figure with its interval, beside what it is compared with."""

    name: str
    estimate: Estimate | Difference
    beside: float = 0.0


@dataclass(frozen=True)
class Intervals:
    """Figures along one axis."""

    unit: str
    rows: tuple[Estimated, ...]
    is_share: bool = True
    """Whether they are told in percent."""


@dataclass(frozen=True)
class Curves:
    """Curves over one axis."""

    title: str
    axis: Axis
    curves: Mapping[str, Curve]


Figure = Intervals | Curves
_VALIDATION: Mapping[str, tuple[Part, str]] = {
    "removal": ("removal", "fall of ln p without the examples, nats"),
    "datamodeling": ("datamodeling", "linear datamodeling score"),
    "tail_patch": ("tail_patch", "gain of ln p after a step on the example, nats"),
}


def read_figures(run: RunDir, path: str) -> tuple[Figure, ...]:
    """What the figure of a path beside the report shows; nothing where its results are not there,
    or where it is none of the report's."""
    name = PurePosixPath(path).stem
    read = _READERS.get(name)
    try:
        if name in _VALIDATION:
            return tuple(_validation(run, *_VALIDATION[name]))
        return tuple(read(run)) if read else ()
    except HeadwaterError:  # the report tells why
        return ()


def _loss(run: RunDir) -> Iterable[Figure]:
    events = EventReader(run.events, (Metric,)).stream()
    names = {LOSS: "training", VALIDATION_LOSS: "validation"}
    found = learning_curves(events, names)
    curves = {names[name]: _curve(*readings) for name, readings in found.items()}
    if curves:
        yield Curves("loss, nats a token", STEPS, curves)


def _effective_rank(run: RunDir) -> Iterable[Figure]:
    spectra = read_spectra(run)
    first = spectra[0].strategy if spectra else ""
    by_kind: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for one in spectra:
        figures = one.statistics
        if one.strategy == first and one.layer is not None and figures.effective_rank:
            share = 100 * figures.effective_rank / figures.count
            modules = by_kind.setdefault(TITLES[one.kind], {})
            modules.setdefault(one.module.rpartition(".")[2], []).append((one.layer, share))
    for kind, modules in by_kind.items():
        curves = {
            module: _curve(*zip(*sorted(points), strict=True)) for module, points in modules.items()
        }
        yield Curves(f"effective rank, % of count: {kind}", LAYERS, curves)


def _answers(run: RunDir) -> Iterable[Figure]:
    metrics = [one for one in read_evaluation(run).metrics if one.is_share]
    rows = tuple(Estimated(metric.title, metric) for metric in metrics)
    yield Intervals("trained − base, percentage points", rows)


def _benchmarks(run: RunDir) -> Iterable[Figure]:
    rows = tuple(
        Estimated(f"{one.task} · {scoring_title(one.scored_by)} · {one.model}", one, one.chance)
        for one in read_benchmarks(run).scores
    )
    yield Intervals("score, %, beside chance", rows)


def _validation(run: RunDir, part: Part, unit: str) -> Iterable[Figure]:
    rows = tuple(Estimated(one.name, one.estimate) for one in findings(read_validation(run), part))
    if rows:
        yield Intervals(unit, rows, is_share=False)


_READERS: Mapping[str, Callable[[RunDir], Iterable[Figure]]] = {
    "loss": _loss,
    "effective_rank": _effective_rank,
    "answers": _answers,
    "benchmarks": _benchmarks,
}


def _curve(steps: Sequence[float], values: Sequence[float]) -> Curve:
    curve = Curve()
    for step, value in zip(steps, values, strict=True):
        curve.append(step, value)
    return curve
