"""Every example's score for every prompt, by every method and layer; ranks among all of them.

NumPy is imported with this module: the screen imports it when a ranking is opened.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.lookup import Corpus
from pipeline.contract.results.scores import layer_of
from pipeline.contract.results.tensors import TensorFile
from pipeline.contract.run.run_dir import RunDir
from tui.readers.radix import highest_first

Scores = NDArray[np.float32]
_LAYER = "layer "
_RANKINGS_HELD = 4


@dataclass(frozen=True)
class Ranking:
    """All examples that have a score for a prompt, highest first."""

    prompt_id: str
    name: str
    scores: Scores
    """[N], by place; NaN = missing."""
    order: NDArray[np.int32]
    """Places of examples [≤ N], equal scores in the order of the corpus."""

    def rank(self, place: int) -> int | None:
        """1 = highest; None: it has no score."""
        return _rank(self.scores, place)


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
        """Opens both files; the errors are those of `TensorFile`."""
        self._run = run
        self._file = TensorFile(run.scores)
        self.corpus = Corpus(run)
        told = self._file.metadata
        self.prompts: list[str] = json.loads(told["prompts"])
        self.methods: list[str] = json.loads(told["methods"])
        self.layers: list[int] = json.loads(told["layers"])
        self.strategy = told["strategy"]
        self._modules: list[str] = json.loads(told["modules"])
        if int(told["examples"]) != len(self.corpus):
            raise ValueError(f"{run.scores.name} and {run.lookup.name} differ in their examples")
        self._held: dict[tuple[str, str], Ranking] = {}
        self._columns: dict[str, NDArray[np.int32] | None] = {}

    @property
    def names(self) -> list[str]:
        """Whatever examples can be ranked by: the methods, then the layers."""
        return [*self.methods, *(f"{_LAYER}{layer}" for layer in self.layers)]

    def scores(self, prompt_id: str, name: str) -> Scores:
        """Scores [N] for a prompt by a method or a layer.

        Raises:
            KeyError: there is no such prompt or ranking.
        """
        prompt = self._numbers[prompt_id]
        if name.startswith(_LAYER):
            layer = self.layers.index(int(name.removeprefix(_LAYER)))
            return self._file.floats("layers", prompt, layer)
        return self._file.floats(name, prompt)

    def ranking(self, prompt_id: str, name: str) -> Ranking:
        """All examples for a prompt, by a method or a layer; the last few are kept.

        Raises:
            KeyError: there is no such ranking.
            MissingResultError: the prompt was not scored.
        """
        key = (prompt_id, name)
        if prompt_id not in self._numbers:
            hint = "the model answered nothing to it, so that there is nothing to trace"
            raise MissingResultError("this prompt was not scored", hint)
        if key not in self._held:
            scores = self.scores(prompt_id, name)
            self._held[key] = Ranking(prompt_id, name, scores, highest_first(scores))
            for oldest in list(self._held)[:-_RANKINGS_HELD]:
                del self._held[oldest]
        return self._held[key]

    def standings(self, prompt_id: str, place: int) -> Iterator[Standing]:
        """Where an example stands for a prompt, by every method and layer."""
        for name in self.names:
            yield _standing(name, self.scores(prompt_id, name), place)

    def across(self, name: str, place: int) -> Iterator[Standing]:
        """Where an example stands for every prompt, by one method or layer."""
        for prompt_id in self.prompts:
            yield _standing(prompt_id, self.scores(prompt_id, name), place)

    def relevant(self, prompt_id: str) -> frozenset[int]:
        """Places of the examples that are known to state the answer."""
        return frozenset(self.corpus.relevant(self._numbers[prompt_id]).tolist())

    def strategy_of(self, name: str) -> str:
        """The curvature that a ranking rests on; of BM25, which has none, the run's own."""
        plain = "identity" if name == "gradient_cosine" else name.removesuffix("_normalized")
        return plain if self._run.module_scores(plain).exists() else self.strategy

    def modules(self, prompt_id: str, name: str, place: int) -> ModuleScores | None:
        """The parts of a raw score; None where the stage had no room to keep them apart."""
        strategy = self.strategy_of(name)
        file = self._module_file(strategy)
        names = [name for name in self._modules if name in file] if file else []
        if file is None or not names:
            return None
        kinds = list(dict.fromkeys(_kind(name) for name in names))
        layers = sorted({layer for name in names if (layer := layer_of(name)) is not None})
        table = np.full((len(layers), len(kinds)), np.nan, np.float32)
        prompt, column = self._numbers[prompt_id], self._column(strategy, place)
        for module in names:
            if (layer := layer_of(module)) is None:
                continue
            cell = layers.index(layer), kinds.index(_kind(module))
            table[cell] = file.floats(module, prompt, column)
        return ModuleScores(strategy, layers, kinds, table)

    def forget_pages(self) -> None:
        """Lets go of the memory that looking at many scores and examples took."""
        self._file.forget_pages()
        self.corpus.forget_pages()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {prompt_id: number for number, prompt_id in enumerate(self.prompts)}

    def _column(self, strategy: str, place: int) -> int:
        """Where an example's scores module by module are: Kronfluence scored in another order."""
        if strategy not in self._columns:
            self._columns[strategy] = _columns(self._run.module_scores_order(strategy))
        columns = self._columns[strategy]
        return place if columns is None else int(columns[place])

    def _module_file(self, strategy: str) -> TensorFile | None:
        path = self._run.module_scores(strategy)
        return TensorFile(path) if path.exists() else None


def _columns(order: Path) -> NDArray[np.int32] | None:
    """The column of every example [N]; None: they come as they are.

    Parsed by NumPy: a million numbers of Python's own would take 50 MB.
    """
    found = re.search(rb'"indices":\s*\[([^]]*)\]', order.read_bytes())
    if found is None:
        return None
    examples = np.fromstring(found[1].decode(), np.int32, sep=",")
    columns = np.empty_like(examples)
    columns[examples] = np.arange(len(examples), dtype=np.int32)
    return columns


def _rank(scores: Scores, place: int) -> int | None:
    """1 + those above it, and those before it with the same score."""
    score = scores[place]
    if np.isnan(score):
        return None
    above = np.count_nonzero(scores > score) + np.count_nonzero(scores[:place] == score)
    return int(above) + 1


def _standing(name: str, scores: Scores, place: int) -> Standing:
    return Standing(name, float(scores[place]), _rank(scores, place))


def _kind(module: str) -> str:
    """`model.layers.3.mlp.up_proj` → `up_proj`."""
    return module.rpartition(".")[2]
