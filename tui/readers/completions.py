"""How likely several runs' trained models find the completions of the prompts that all of them
have: what a repair was to change, and what it was not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.curation import curation_behind
from pipeline.contract.results.generation import GeneratedPair, load_generated_answers
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.settings.loading import load_settings

STAGE = "generate"
COMPLETIONS = "ln p of the completions under the trained models, nats; 0 is certain"
SORTED_BY = "the data were sorted by it"
_MUCH = 1.0


@dataclass(frozen=True)
class Likeliness:
    """ln p of a prompt's completion in each run: a sum over its tokens, so that runs with other
    tokenizers can be compared; nats. Of several prompts the mean."""

    name: str
    """The prompt's id in the first run, or what several prompts are called."""
    ln_p: tuple[float, ...]
    """[runs]."""
    prompt: str = ""
    completion: str = ""
    of_set: str = ""
    """The prompt's set; empty where it is in none."""
    sorted_by: bool = False
    """Whether the data of one of the runs were sorted by the prompt."""
    prompts: int = 1

    @property
    def change(self) -> float:
        """From the first run to the last."""
        return self.ln_p[-1] - self.ln_p[0]


@dataclass(frozen=True)
class Completions:
    """What the runs say of the completions that they have in common."""

    rows: tuple[Likeliness, ...] = ()
    """In the first run's order."""
    missing: tuple[tuple[str, str], ...] = ()
    """Runs that do not say it, and why: there are no rows then."""

    @property
    def sets(self) -> list[Likeliness]:
        """The means of each set."""
        names = dict.fromkeys(row.of_set for row in self.rows if row.of_set)
        return [_mean(name, [row for row in self.rows if row.of_set == name]) for name in names]

    @property
    def aims(self) -> list[Likeliness]:
        """Prompts that data were sorted by."""
        return [row for row in self.rows if row.sorted_by]

    @property
    def others(self) -> list[Likeliness]:
        """Those that data were not sorted by, the ones that fell most first."""
        return sorted((row for row in self.rows if not row.sorted_by), key=lambda row: row.change)

    @property
    def others_name(self) -> str:
        """What these are called: there may be none that they are others than."""
        return "all other prompts" if self.aims else "all prompts"

    @property
    def of_others(self) -> Likeliness | None:
        """Their mean; None where there are none."""
        return _mean(self.others_name, others) if (others := self.others) else None

    def others_told(self) -> str:
        """`21 of 49 fell, 2 of them by more than 1 nat`."""
        changes = [row.change for row in self.others]
        much = sum(change < -_MUCH for change in changes)
        fell = sum(change < 0 for change in changes)
        return f"{fell:,} of {len(changes):,} fell, {much:,} of them by more than {_MUCH:g} nat"


def completions(runs: Sequence[RunDir]) -> Completions:
    """The prompts that all runs have with the same completion.

    Raises:
        HeadwaterError: settings, or what a stage wrote, cannot be read.
    """
    found, missing = list[tuple[GeneratedPair, ...]](), list[tuple[str, str]]()
    for run in runs:
        try:
            found.append(_pairs(run))
        except MissingResultError as error:
            missing.append((run.name, str(error)))
    if missing:
        return Completions(missing=tuple(missing))
    values = [_by_text(pairs) for pairs in found]
    sets = {prompt.id: prompt.set or "" for prompt in read_prompts(runs[0])}
    aims = {name for run in runs for name in _aims(run)}
    rows = (
        Likeliness(
            pair.prompt_id,
            tuple(one[pair.prompt, pair.expected] for one in values),
            pair.prompt,
            pair.expected,
            sets.get(pair.prompt_id, ""),
            pair.prompt_id in aims,
        )
        for pair in found[0]
        if all((pair.prompt, pair.expected) in one for one in values)
    )
    return Completions(tuple(rows))


def _pairs(run: RunDir) -> tuple[GeneratedPair, ...]:
    loaded = load_generated_answers(run)
    if not loaded.fresh:
        raise MissingResultError(
            "the answers are stale: settings, prompts or data have changed since",
            f"`{STAGES[STAGE].command(run.name)}` writes them anew",
            STAGE,
        )
    return loaded.value


def _by_text(pairs: Iterable[GeneratedPair]) -> dict[tuple[str, str], float]:
    likelihoods = ((pair, pair.trained.log_likelihood) for pair in pairs)
    return {(pair.prompt, pair.expected): ln_p for pair, ln_p in likelihoods if ln_p is not None}


def _aims(run: RunDir) -> tuple[str, ...]:
    data = load_settings(run.settings).data
    curation = curation_behind(Path(data.path)) if data.source == "local" else None
    return curation.prompts if curation else ()


def _mean(name: str, rows: Sequence[Likeliness]) -> Likeliness:
    columns = zip(*(row.ln_p for row in rows), strict=True)
    means = tuple(sum(column) / len(rows) for column in columns)
    return Likeliness(name, means, prompts=len(rows))
