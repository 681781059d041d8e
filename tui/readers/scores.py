"""Every example's score for every prompt, by every method and layer; ranks among all of them.

NumPy is imported with this module: the screen imports it when a ranking is opened.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.common import damaged
from pipeline.contract.results.controls import ControlReader, Controls
from pipeline.contract.results.lookup import Corpus
from pipeline.contract.results.module_scores import ModuleScoreFile, has_module_scores
from pipeline.contract.results.origin import is_taught_by
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.ranks import Order, Scores, highest_first, rank_of
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.scores import LAYER, STAGE, layer_of, strategy_of
from pipeline.contract.results.sets import mean_of_rows, set_row, sets_of
from pipeline.contract.run.run_dir import RunDir

_RANKINGS_HELD = 4
_FIRST = 1000
"""Examples that are put in order at once: more than a person pages through."""


class Ordered(ABC):
    """Examples in an order that is made as far as it is looked at."""

    @property
    @abstractmethod
    def order(self) -> Order:
        """Positions of all of them."""

    @abstractmethod
    def first(self, count: int) -> Order:
        """Positions of the `count` first ones."""

    def position(self, place: int) -> int:
        """The example at a place, 1 = first; all are put in order once one is asked for that is
        not among the first."""
        return int((self._first if place <= len(self._first) else self.order)[place - 1])

    @cached_property
    def _first(self) -> Order:
        return self.first(_FIRST)


@dataclass(frozen=True)
class Ranking(Ordered):
    """All examples that have a score for a prompt, highest first."""

    prompt_id: str
    name: str
    scores: Scores
    """[N], by position; NaN = missing."""

    @cached_property
    def order(self) -> Order:
        """Positions of examples [≤ N], equal scores in the order of the corpus."""
        return highest_first(self.scores)

    @cached_property
    def ranks(self) -> NDArray[np.int32]:
        """Every example's rank [N]; 0: it has none."""
        ranks = np.zeros(len(self.scores), np.int32)
        ranks[self.order] = np.arange(1, self.count + 1)
        return ranks

    @cached_property
    def count(self) -> int:
        """How many examples have a score."""
        return len(self.scores) - int(np.count_nonzero(np.isnan(self.scores)))

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The highest score and the lowest; both NaN where no example has one."""
        highest = np.fmax.reduce(self.scores, initial=np.nan)
        return float(highest), float(np.fmin.reduce(self.scores, initial=np.nan))

    def first(self, count: int) -> Order:
        """Positions of the `count` first examples, for which the others are not put in order."""
        return highest_first(self.scores, count)

    def rank(self, position: int) -> int | None:
        """1 = highest; None: it has no score."""
        return rank_of(self.scores, position)


@dataclass(frozen=True)
class Standing:
    """Where one example stands: under a method or a layer, or for a prompt."""

    name: str
    score: float
    """NaN = missing."""
    rank: int | None


@dataclass(frozen=True)
class ModuleScores:
    """One example's score for one prompt, module by module: the parts of its raw score."""

    strategy: str
    layers: list[int]
    kinds: list[str]
    """What a module is called within its layer."""
    scores: Scores
    """[L, kinds]; NaN where a layer has no such module."""


class Scored:
    """The scores of a run and the examples that have them."""

    def __init__(self, run: RunDir) -> None:
        """Opens both files.

        Raises:
            MissingResultError: one is gone.
            DamagedResultError: one is not what the stage writes, or they do not go together.
        """
        self._run = run
        self._file = ScoreFile(run)
        self.corpus = Corpus(run)
        metadata = self._file.metadata
        self.prompts, self.methods, self.layers = (
            metadata.prompts,
            metadata.methods,
            metadata.layers,
        )
        if metadata.examples != len(self.corpus):
            counts = f"{metadata.examples:,} examples are scored, {len(self.corpus):,} are kept"
            raise damaged(run, STAGE, run.lookup, counts)
        there = sets_of(read_prompts(run)) if run.prepared_prompts.exists() else {}
        self.sets = {set_row(name): ids for name, ids in there.items()}
        """Ids of the prompts of each set, by its row among the prompts."""
        self._held: dict[tuple[str, str], Ranking] = {}
        self._taught: dict[str, bool | None] = {}
        self._module_files: dict[str, ModuleScoreFile] = {}

    @property
    def names(self) -> list[str]:
        """Whatever examples can be ranked by: the methods, then the layers."""
        return [*self.methods, *(f"{LAYER}{layer}" for layer in self.layers)]

    def scores(self, prompt_id: str, name: str) -> Scores:
        """Scores [N] for a prompt, or a set by its row, by a method or a layer.

        Raises:
            KeyError: there is no such prompt or ranking.
        """
        if ids := self.sets.get(prompt_id):
            rows = ((one, self.scores(one, name)) for one in ids if one in self._numbers)
            return mean_of_rows(rows, len(self.corpus))[0]
        prompt = self._numbers[prompt_id]
        if name.startswith(LAYER):
            return self._file.layer(prompt, int(name.removeprefix(LAYER)))
        return self._file.scores(prompt, name)

    def ranking(self, prompt_id: str, name: str) -> Ranking:
        """All examples for a prompt, by a method or a layer; the last few are kept.

        Raises:
            KeyError: there is no such ranking.
            MissingResultError: the prompt was not scored.
        """
        key = (prompt_id, name)
        if prompt_id not in self._numbers and prompt_id not in self.sets:
            hint = "the model answered nothing to it, so that there is nothing to trace"
            raise MissingResultError("this prompt was not scored", hint)
        if key not in self._held:
            scores = self.scores(prompt_id, name)
            self._held[key] = Ranking(prompt_id, name, scores)
            for oldest in list(self._held)[:-_RANKINGS_HELD]:
                del self._held[oldest]
        return self._held[key]

    def standings(self, prompt_id: str, position: int) -> Iterator[Standing]:
        """Where an example stands for a prompt, by every method and layer."""
        for name in self.names:
            yield _standing(name, self.scores(prompt_id, name), position)

    def across(self, name: str, position: int) -> Iterator[Standing]:
        """Where an example stands for every prompt, by one method or layer."""
        for prompt_id in self.prompts:
            yield _standing(prompt_id, self.scores(prompt_id, name), position)

    def relevant(self, prompt_id: str) -> frozenset[int]:
        """Positions of the examples that are known to state the answer."""
        if prompt_id in self.sets:
            return frozenset()
        return frozenset(self.corpus.relevant(self._numbers[prompt_id]).tolist())

    def controls(self, prompt_id: str, name: str) -> Controls:
        """How far a ranking follows gradient size alone, and another prompt's ranking.

        Raises:
            DamagedResultError: a file lacks what it needs.
            MissingResultError: one is gone.
        """
        return self._control_reader.read(prompt_id, name)

    def taught(self, prompt_id: str) -> bool | None:
        """Whether the examples taught the answer, by the method that the run ranks by."""
        if prompt_id not in self._taught:
            scores = self.scores(prompt_id, self._file.metadata.default_method)
            self._taught[prompt_id] = is_taught_by(scores)
        return self._taught[prompt_id]

    def modules(self, prompt_id: str, name: str, position: int) -> ModuleScores | None:
        """The parts of a raw score; None where the stage had no room to keep them apart, and of a
        set.

        Raises:
            MissingResultError: Kronfluence's note on them is gone.
            DamagedResultError: they are not what Kronfluence writes.
        """
        if prompt_id in self.sets:
            return None
        strategy = self._strategy_of(name)
        file = self._module_file(strategy)
        if file is None:
            return None
        kept = [name for name in self._file.metadata.modules if name in file]
        layer_by_name = {name: layer_of(name) for name in kept}
        layers = sorted({layer for layer in layer_by_name.values() if layer is not None})
        kinds = list(dict.fromkeys(map(_kind, kept)))
        table = np.full((len(layers), len(kinds)), np.nan, np.float32)
        for module, layer in layer_by_name.items():
            if layer is not None:
                cell = layers.index(layer), kinds.index(_kind(module))
                table[cell] = file.score(module, self._numbers[prompt_id], position)
        return ModuleScores(strategy, layers, kinds, table) if layers else None

    def forget_pages(self) -> None:
        """Lets go of the memory that looking at many scores and examples took."""
        self._file.forget_pages()
        self.corpus.forget_pages()
        for file in self._module_files.values():
            file.forget_pages()

    @cached_property
    def _control_reader(self) -> ControlReader:
        return ControlReader(self._file, read_prompts(self._run))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {prompt_id: number for number, prompt_id in enumerate(self.prompts)}

    def _strategy_of(self, name: str) -> str:
        """The strategy whose module scores tell the most about a ranking."""
        strategy = None if name.startswith(LAYER) else strategy_of(name)
        if strategy is not None and has_module_scores(self._run, strategy):
            return strategy
        return self._file.metadata.strategy  # a layer's own; of BM25, the one that is trusted most

    def _module_file(self, strategy: str) -> ModuleScoreFile | None:
        if strategy not in self._module_files:
            if not has_module_scores(self._run, strategy):
                return None
            size, contrasted = (len(self.prompts), len(self.corpus)), self._file.metadata.contrasted
            file = ModuleScoreFile(self._run, strategy, *size, contrasted)
            self._module_files[strategy] = file
        return self._module_files[strategy]


def _standing(name: str, scores: Scores, position: int) -> Standing:
    return Standing(name, float(scores[position]), rank_of(scores, position))


def _kind(module: str) -> str:
    """`model.layers.3.mlp.up_proj` → `up_proj`."""
    return module.rpartition(".")[2]
