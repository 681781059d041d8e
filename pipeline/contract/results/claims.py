"""From what a person points at to a claim that can be tested: which examples, and is it possible.

Everything that would make a proof pointless is refused here, before any training. NumPy is imported
with this module.

Shape legend: N training examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

import numpy as np

from pipeline.contract.errors import MissingResultError, UsageError
from pipeline.contract.files import read_text
from pipeline.contract.results.lookup import Corpus, Example
from pipeline.contract.results.matching import Positions, matched
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.ranks import Scores, highest_first
from pipeline.contract.results.score_file import load_scores
from pipeline.contract.results.sets import combined, set_row, sets_of
from pipeline.contract.results.training import read_training
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.proving import PLAIN, SEEDS, Claim, no_retraining, question_id
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.trainers import at_once
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.units import duration

KINDS = 4
"""Of trainings: with everything; without the marked, the matched, and the random ones."""


@dataclass(frozen=True)
class Cost:
    """What a claim takes, before it is tested."""

    trainings: int
    """At most: those that were kept are not done again. 0: single steps."""
    seconds: float | None
    """Likewise, by what the run's own training took; None where it did none."""
    at_once: int = 1
    """Trainings that run side by side on this machine."""

    def __str__(self) -> str:
        """`at most 12 trainings, 2 at once, about 4 min 10 s`"""
        if not self.trainings:
            return "single steps, a few seconds each"
        beside = f", {self.at_once} at once" if self.at_once > 1 else ""
        about = "" if self.seconds is None else f", about {duration(self.seconds)}"
        return f"at most {self.trainings} trainings{beside}{about}"


class Claims:
    """Makes claims about a run's prompts."""

    def __init__(self, run: RunDir) -> None:
        """Opens the scores.

        Raises:
            MissingResultError: there are none.
            DamagedResultError: a file of them is not what the stage writes.
            UsageError: they are not up to date.
        """
        loaded = load_scores(run)
        if not loaded.fresh:
            raise UsageError(
                "the rankings are stale: the settings or the model have changed since",
                f"`headwater run scores --run {run.name}` ranks again",
            )
        self._run, self._file = run, loaded.value
        self.corpus = Corpus(run)

    def first(self, prompt: str, count: int, opponents: bool = False) -> Positions:
        """The first examples of a prompt's, or a set's, ranking by the run's own method, or the
        last ones.

        Raises:
            UsageError: it was not scored.
        """
        order = highest_first(self._scores(self.prompts(prompt)))
        return np.sort(order[-count:] if opponents else order[:count]).astype(np.intp)

    def prompts(self, about: str) -> tuple[str, ...]:
        """The prompt with this id, or those of the set with this row that have scores: ids.

        Raises:
            UsageError: there is none.
        """
        scored = self._file.metadata.prompts
        if about in scored:
            return (about,)
        if of_set := tuple(one for one in self._sets.get(about, ()) if one in scored):
            return of_set
        valid = ", ".join((*scored, *self._sets))
        raise UsageError(f"prompt {about!r} is not in {self._run.name}; valid: {valid}")

    def first_told(self, count: int, opponents: bool = False) -> str:
        """How `first` has chosen."""
        return f"the {'last' if opponents else 'first'} {count:,} by {self.default_method}"

    @property
    def default_method(self) -> str:
        """The ranking by which `first` goes."""
        return self._file.metadata.default_method

    def listed(self, path: Path) -> Positions:
        """The examples whose ids stand in a file, one a line.

        Raises:
            UsageError: it cannot be read, names none, or an id that no training example has.
        """
        try:
            lines = read_text(path).splitlines()
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
        found = []
        for number, line in enumerate(lines, 1):
            if not (name := line.strip()):
                continue
            if name not in self._positions:
                raise UsageError(
                    f"{path} line {number}: no training example has the id {name!r}",
                    f"`headwater rank {self._run.name} --csv` prints ids",
                )
            found.append(self._positions[name])
        return self._some(found, f"{path} names no example")

    def of_source(self, source: str) -> Positions:
        """The examples that come from a file or dataset.

        Raises:
            UsageError: none does.
        """
        sources = [example.source for example in self._examples]
        here = [place for place, name in enumerate(sources) if name == source]
        valid = ", ".join(list(dict.fromkeys(sources))[:10])
        return self._some(here, f"no training example comes from {source!r}; valid: {valid}")

    def of_group(self, group: int) -> Positions:
        """The near-duplicates that share a number.

        Raises:
            UsageError: no example has it.
        """
        here = np.flatnonzero(self.corpus.groups == group).tolist() if group >= 0 else []
        return self._some(here, f"no training example is in the group of near-duplicates {group}")

    def named(self, names: Sequence[str]) -> Positions:
        """The examples with these ids.

        Raises:
            UsageError: one is no training example, as a text that was added to the index.
        """
        if unknown := [name for name in names if name not in self._positions]:
            raise UsageError(
                f"{unknown[0]!r} is no training example: only what the model was trained on can be "
                "left out of its training",
                "mark others",
            )
        return np.sort(np.array([self._positions[name] for name in names], dtype=np.intp))

    def claim(
        self,
        about: str | Query,
        marked: Positions,
        origin: str,
        seeds: int = SEEDS,
        by_steps: bool = False,
    ) -> Claim:
        """The claim that these examples [ascending] changed the answer to a prompt, the answers to
        a set's prompts, or a question's completion.

        Raises:
            UsageError: the prompt or the set was not scored; the question has no completion; too
                few examples would be left to train on, or to compare with; the model cannot be
                trained again.
        """
        self._require_answer(about)
        if not by_steps:
            self._require_training(marked)
        self.beside(marked)
        names = tuple(example.id for example in self.corpus.examples(marked))
        name = question_id(about) if isinstance(about, Query) else about
        question = about if isinstance(about, Query) else None
        measured = self._measured(about)
        return Claim(name, names, origin, seeds, by_steps, measured, question)

    def beside(self, marked: Positions) -> Positions:
        """The examples that these are compared with; the errors are those of `matched`."""
        sizes = self._file.self_influence(self._file.metadata.strategy)
        return matched(marked, self.corpus.n_tokens, sizes, self.corpus.groups)

    def cost(self, claim: Claim) -> Cost:
        """What testing it will take."""
        if claim.by_steps:
            return Cost(0, None)
        trainings = KINDS * claim.seeds
        trained, settings = Done.read("train", self._run), load_settings(self._run.settings)
        if trained is None or settings.model.trained:
            return Cost(trainings, None)
        try:
            parameters = read_training(self._run).parameters
        except MissingResultError:
            return Cost(trainings, None)
        beside = at_once(settings, self._run, parameters, trainings)
        return Cost(trainings, ceil(trainings / beside) * trained.seconds, beside)

    def _require_training(self, marked: Positions) -> None:
        settings = load_settings(self._run.settings)
        if reason := no_retraining(settings, self._run):
            raise UsageError(
                f"the model cannot be trained again: {reason}",
                "--step takes one step on each example instead",
            )
        total, budget = int(self.corpus.n_tokens.sum()), settings.train.batch_tokens
        left = total - int(self.corpus.n_tokens[marked].sum())
        if left == 0 or left < budget <= total:  # a corpus may be smaller than a batch
            raise UsageError(
                f"without these {len(marked):,} of {len(self.corpus):,} examples {left:,} tokens "
                f"are left to train on, fewer than a batch of {budget:,} (train.batch_tokens)",
                "prove fewer examples",
            )

    def _require_answer(self, about: str | Query) -> None:
        if isinstance(about, str):
            self.prompts(about)
        elif not about.validated().completion:
            raise UsageError("there is no answer yet whose origin could be proven")

    def _measured(self, about: str | Query) -> str:
        """Whose ln p is looked at, and what is taken off it where a prompt is a contrast."""
        named = {prompt.id: prompt for prompt in read_prompts(self._run)}
        asked = [about] if isinstance(about, Query) else [named[one] for one in self.prompts(about)]
        others = [one.instead for one in asked if one.instead is not None]
        if len(asked) > 1:
            less = ", less those of what they are set against," * bool(others)
            return f"the mean ln p of {len(asked):,} answers{less}"
        return f"the answer's ln p less that of {others[0].strip()!r}" if others else PLAIN

    def _scores(self, prompts: Sequence[str]) -> Scores:
        """[N], by the run's own method."""
        if len(prompts) > 1:
            return combined(self._file, prompts, self.default_method)[0]
        row = self._file.metadata.prompts.index(prompts[0])
        return self._file.scores(row, self.default_method)

    @cached_property
    def _sets(self) -> dict[str, tuple[str, ...]]:
        """Ids by the rows of sets."""
        found = sets_of(read_prompts(self._run))
        return {set_row(name): ids for name, ids in found.items()}

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.corpus.ids())}

    @cached_property
    def _examples(self) -> list[Example]:
        return list(self.corpus.examples(np.arange(len(self.corpus))))

    @staticmethod
    def _some(found: Sequence[int], otherwise: str) -> Positions:
        if not len(found):
            raise UsageError(otherwise)
        return np.unique(np.array(found, dtype=np.intp))
