"""What validate writes: what other trainings, single steps and other fits say of a ranking.

validate/summary.json holds what was found; retrainings.jsonl, beside the stages' folders, what each
training came to, so that none is done twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from pipeline.contract.files import append_json_lines, read_json_lines
from pipeline.contract.results import common
from pipeline.contract.results.scores import Retrieval
from pipeline.contract.results.verdict import Difference, Estimate
from pipeline.contract.run.run_dir import RunDir

STAGE = "validate"
RANDOM = "random"
"""Stands for a ranking: as many random examples."""
Part = Literal["removal", "datamodeling", "tail_patch", "stability"]
PARTS: tuple[Part, ...] = get_args(Part)
TITLES: Mapping[Part, str] = {
    "removal": "Removal: ln p of the completions drops by so much without the first examples of",
    "datamodeling": "Linear datamodeling score (1 = perfect, 0 = chance)",
    "tail_patch": "Tail patch: ln p of the completions rises by so much by one step on examples of",
    "stability": "Stability: rank correlation with the run's own ranking",
}
SHORT_TITLES: Mapping[Part, str] = {
    "removal": "removal",
    "datamodeling": "LDS",
    "tail_patch": "tail patch",
    "stability": "stability",
}
REFERENCES: Mapping[Part, str] = {
    "removal": "random",
    "datamodeling": "BM25",
    "tail_patch": "random",
    "stability": "",
}
"""What a ranking's advantage is over, for reading."""


@dataclass(frozen=True)
class RemovalEffect:
    """What leaving out a ranking's first examples does to the completions."""

    drop: Estimate
    """ln p with every example − ln p without them, over the prompts; nats."""
    advantage: Difference | None
    """Over leaving out as many random examples; None for these themselves."""
    prompts: Mapping[str, float | None]
    """The drop of each prompt, by id; None where no training succeeded."""


@dataclass(frozen=True)
class Removal:
    """Models trained again without each ranking's first examples."""

    removed: int
    """First examples of every prompt that were left out."""
    groups: int
    """Groups of prompts whose examples were left out together."""
    seeds: tuple[int, ...]
    left_out: Mapping[str, int]
    """By ranking: examples that a training did without, of the first group and seed."""
    seed_noise: float | None
    """Standard deviation of a prompt's ln p between seeds with everything; None for one seed."""
    methods: Mapping[str, RemovalEffect]
    """By ranking; empty where no prompt has a drop under every one."""


@dataclass(frozen=True)
class TailPatchEffect:
    """What a step on a ranking's first examples does to the completions."""

    gain: Estimate
    """ln p after the step − ln p before, over the prompts; nats."""
    advantage: Difference | None
    """Over steps on as many random examples; None for these themselves."""
    prompts: Mapping[str, float | None]
    """The gain of each prompt, by id; None where the ranking has no example for it."""


@dataclass(frozen=True)
class TailPatch:
    """One step of gradient descent on each of a ranking's first examples."""

    examples: int
    """First examples of every prompt that a step was taken on."""
    step: float
    """Length of the step ÷ length of all weights as one vector."""
    methods: Mapping[str, TailPatchEffect]


@dataclass(frozen=True)
class ScoreAdvantage:
    """One datamodeling score minus another on the same resamples; nothing is tested."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class DatamodelingScore:
    """Mean over the prompts of Spearman's rank correlation over the subsets."""

    value: float
    low: float
    high: float
    """95 % percentile interval over resampled subsets and prompts."""
    prompts: int
    """Those for which the ranking has scores."""
    advantage: ScoreAdvantage | None = None
    """Over BM25; None for BM25 itself, and where that has no score."""


@dataclass(frozen=True)
class Datamodeling:
    """How well summed scores predict what models trained on random halves make of the prompts."""

    subsets: int
    seeds: tuple[int, ...]
    methods: Mapping[str, DatamodelingScore]
    """By name of the ranking; of a set's, "Σ name · ranking"."""


@dataclass(frozen=True)
class Agreement:
    """How alike two rankings of the same examples are, over the prompts."""

    mean_correlation: float
    """Of Spearman's rank correlations over all examples."""
    least_correlation: float
    top_overlap: float
    """Mean share of the first examples of one that are among those of the other."""


@dataclass(frozen=True)
class DampingAgreement(Agreement):
    """How much another damping changes the ranking, and how well it finds what is known."""

    known: Retrieval | None = None
    """None where no prompt names a document of the corpus."""


@dataclass(frozen=True)
class ValidationSummary:
    """What validate found; None for a part that the settings leave out."""

    default_method: str
    """The run's own ranking."""
    prompts: int
    examples: int
    tail_patch: TailPatch | None
    dampings: Mapping[str, DampingAgreement]
    """By name of the ranking."""
    refits: tuple[Agreement, ...]
    """With the curvature fitted again on other sampled labels."""
    removal: Removal | None
    datamodeling: Datamodeling | None
    stability_top: int
    """First examples of two rankings whose overlap is told."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What one part of the validation says of one ranking."""

    part: Part
    name: str
    """Of the ranking, or of what was changed when every example was scored again."""
    estimate: Estimate
    """For stability the mean correlation, and the least as its lower end."""
    advantage: Difference | None = None
    """Over the part's entry of `REFERENCES`."""
    agreement: Agreement | None = None
    """Of stability alone."""


def findings(summary: ValidationSummary, part: Part) -> Iterator[Finding]:
    """One a ranking; none for a part that was not asked for or has no result."""
    if part == "removal":
        for name, removed in (summary.removal.methods if summary.removal else {}).items():
            yield Finding(part, name, removed.drop, removed.advantage)
    elif part == "tail_patch":
        for name, stepped in (summary.tail_patch.methods if summary.tail_patch else {}).items():
            yield Finding(part, name, stepped.gain, stepped.advantage)
    elif part == "datamodeling":
        for name, score in (summary.datamodeling.methods if summary.datamodeling else {}).items():
            yield _of_score(name, score)
    else:
        for name, agreement in summary.dampings.items():
            yield _of_agreement(name, agreement, summary)
        for number, again in enumerate(summary.refits, 1):
            yield _of_agreement(f"other labels sampled ({number})", again, summary)


def _of_score(name: str, score: DatamodelingScore) -> Finding:
    estimate = Estimate(score.value, score.prompts, None, score.low, score.high)
    if (more := score.advantage) is None:
        return Finding("datamodeling", name, estimate)
    advantage = Difference(score.prompts, more.difference, more.low, more.high, p_value=None)
    return Finding("datamodeling", name, estimate, advantage)


def _of_agreement(name: str, agreement: Agreement, summary: ValidationSummary) -> Finding:
    mean, least = agreement.mean_correlation, agreement.least_correlation
    estimate = Estimate(mean, summary.prompts, None, least, None)
    return Finding("stability", name, estimate, agreement=agreement)


def write_validation(run: RunDir, summary: ValidationSummary) -> None:
    """Writes summary.json."""
    common.write_record(run.summary(STAGE), summary)


def read_validation(run: RunDir) -> ValidationSummary:
    """Reads summary.json; the errors are those of `common.read_record`."""
    return common.read_record(run, STAGE, run.summary(STAGE), ValidationSummary)


def load_validation(run: RunDir) -> common.Loaded[ValidationSummary]:
    """What a finished validation found; the errors are those of `common.load`."""
    return common.load(run, STAGE, read_validation)


@dataclass(frozen=True)
class Retraining:
    """What a training came to: a line of retrainings.jsonl."""

    key: str
    """Names the base, the prompts, the examples and the seed."""
    values: tuple[float | None, ...]
    """ln p of each prompt's completion; None where the training diverged."""


def append_retraining(run: RunDir, retraining: Retraining, path: Path | None = None) -> None:
    """Keeps what a training came to. `path`: in another file, for the stage to take it over."""
    append_json_lines(path or run.retrainings, [asdict(retraining)])


def read_retrainings(run: RunDir, path: Path | None = None) -> Sequence[Retraining]:
    """What earlier trainings came to, in their order; empty where there was none. `path`: by
    another file.

    Raises:
        DamagedResultError: a line is not what `append_retraining` writes.
    """
    path = path or run.retrainings
    with common.readable(run, STAGE, path):
        lines = list(read_json_lines(path))
    return common.checked(run, STAGE, path, tuple[Retraining, ...], lines)
