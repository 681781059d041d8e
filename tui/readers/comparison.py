"""Several runs side by side: the settings in which they differ, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.benchmarks import load_benchmarks, scoring_title
from pipeline.contract.results.evaluation import load_evaluation
from pipeline.contract.results.examples import read_document_ids
from pipeline.contract.results.scores import load_scores_summary
from pipeline.contract.results.training import load_training
from pipeline.contract.results.validation import Part as Experiment
from pipeline.contract.results.validation import findings, load_validation
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import Settings
from tui.readers.format import number

LOSSES = "Losses, nats a token; lower is better"
RANKINGS = "Rankings against the documents known to state the answer: MRR, 1 is perfect"
EXPERIMENTS = "Experiments on the rankings, with 95 % intervals; higher is better"
ANSWERS = "The trained model's answers: percent, ln p in nats; higher is better"
BENCHMARKS = "Benchmarks: percent of the questions answered rightly, with 95 % intervals"
PARTS = (LOSSES, RANKINGS, EXPERIMENTS, ANSWERS, BENCHMARKS)
_TESTED: dict[Experiment, str] = {
    "datamodeling": "LDS",
    "removal": "removal, nats",
    "tail_patch": "tail patch, nats",
}


@dataclass(frozen=True)
class Figure:
    """A result of one run."""

    part: str
    value: float
    share: bool = False
    """Whether it is a share of 1, to be read in percent."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """Prompts or questions that it is of."""

    @property
    def told(self) -> str:
        """`66.7 (56.7 – 76.7)`: as the report writes it."""
        if not self.share:
            return f"{number(self.value)}{_interval(self.low, self.high, '.3g')}"
        low, high = (None if end is None else 100 * end for end in (self.low, self.high))
        return f"{100 * self.value:.1f}{_interval(low, high, '.1f')}"

    def change_from(self, before: Figure) -> str:
        """How much more it is than another run's."""
        gain = self.value - before.value
        return f"{100 * gain:+.1f}" if self.share else f"{gain:+.3g}"


def _interval(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f" ({low:{form}} – {high:{form}})"


@dataclass(frozen=True)
class SettingRow:
    """A setting in which runs differ, and its value in each."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class ResultRow:
    """A result that any run has, and the figure of each; None where one lacks it."""

    name: str
    part: str
    figures: tuple[Figure | None, ...]


def settings_that_differ(runs: Sequence[RunDir]) -> list[SettingRow]:
    """In the order of the settings file.

    Raises:
        SettingsError: those of a run cannot be read.
    """
    found = [load_settings(run.settings) for run in runs]
    rows = list[SettingRow]()
    for section in Settings.model_fields:
        parts = [getattr(settings, section) for settings in found]
        for key in type(parts[0]).model_fields:
            values = [getattr(part, key) for part in parts]
            if any(value != values[0] for value in values[1:]):
                rows.append(SettingRow(f"{section}.{key}", tuple(map(str, values))))
    return rows


def results(runs: Sequence[RunDir]) -> list[ResultRow]:
    """What any run has found that is up to date, part after part."""
    found = [_results(run) for run in runs]
    names = dict.fromkeys(name for figures in found for name in figures)
    rows = [ResultRow(*key, tuple(figures.get(key) for figures in found)) for key in names]
    return sorted(rows, key=lambda row: PARTS.index(row.part))


def cautions(runs: Sequence[RunDir]) -> list[str]:
    """Why losses of these runs cannot be put beside each other as they are; none where they can.

    Raises:
        DamagedResultError: held-out examples cannot be read.
    """
    files = [run.tokenizer / "tokenizer.json" for run in runs]
    found = list[str]()
    if all(file.exists() for file in files) and len({file.read_bytes() for file in files}) > 1:
        found.append("the tokenizers differ: losses a token are of other tokens in each run")
    held_out = list[set[str]]()
    with suppress(MissingResultError):  # not prepared: it has no losses
        held_out = [set(read_document_ids(run, run.validation)) for run in runs]
    if any(names != held_out[0] for names in held_out):
        counts = " and ".join(f"{len(names):,}" for names in held_out)
        same = len(set.intersection(*held_out))
        found.append(f"the held-out documents differ: {counts}, {same:,} of them in all runs")
    return found


_Named = Iterator[tuple[str, Figure]]


def _results(run: RunDir) -> dict[tuple[str, str], Figure]:
    figures = dict[tuple[str, str], Figure]()
    readers: tuple[Callable[[RunDir], _Named], ...]
    readers = (_losses, _rankings, _experiments, _answers, _benchmarks)
    for read in readers:
        with suppress(MissingResultError):  # shown as missing beside the other run's
            figures |= {(name, figure.part): figure for name, figure in read(run)}
    return figures


def _losses(run: RunDir) -> _Named:
    training = load_training(run)
    summary = training.value
    for title, value in (
        ("held-out text, before training", summary.base_validation_loss),
        ("held-out text", summary.validation_loss),
        ("training text, at the end", summary.train_loss),
    ):
        if training.fresh and value is not None:
            yield title, Figure(LOSSES, value)


def _rankings(run: RunDir) -> _Named:
    if (scores := load_scores_summary(run)).fresh:
        for method, figures in scores.value.evaluation.items():
            yield f"MRR, {method}", Figure(RANKINGS, figures.mrr)


def _experiments(run: RunDir) -> _Named:
    if (validation := load_validation(run)).fresh:
        for part, title in _TESTED.items():
            for found in findings(validation.value, part):
                one = found.estimate
                yield (
                    f"{title}, {found.name}",
                    Figure(EXPERIMENTS, one.value, low=one.low, high=one.high, n=one.n),
                )


def _answers(run: RunDir) -> _Named:
    if (evaluation := load_evaluation(run)).fresh:
        for metric in evaluation.value.metrics:
            yield metric.title, Figure(ANSWERS, metric.trained, metric.is_share, n=metric.n)


def _benchmarks(run: RunDir) -> _Named:
    if (benchmarks := load_benchmarks(run)).fresh:
        for row in benchmarks.value.scores:
            named = " ".join(dict.fromkeys([row.benchmark, row.task.replace("_", " ")]))
            name = f"{named}, {scoring_title(row.scored_by)}, {row.model}"
            yield name, Figure(BENCHMARKS, row.value, True, row.low, row.high, row.n)
