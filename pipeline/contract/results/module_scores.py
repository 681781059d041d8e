"""Kronfluence's own score file: every example's score for every prompt, module by module.

A tensor [Q, N] a module, or their sum as the only one where there was no room to keep them apart;
with a further row for each completion that a prompt is set against.
A note beside it says in which order the examples were scored. NumPy is imported with this module.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.common import damaged, readable
from pipeline.contract.results.tensors import open_tensors
from pipeline.contract.run.run_dir import RunDir

_STAGE = "scores"
_INDICES = re.compile(rb'"indices":\s*(?:null|\[([\d\s,-]+)\])')


class ModuleScoreFile:
    """A strategy's file, memory-mapped."""

    def __init__(
        self,
        run: RunDir,
        strategy: str,
        prompts: int,
        examples: int,
        contrasted: Sequence[int] = (),
    ) -> None:
        """Opens the file and reads the note. `contrasted`: the prompts, by number, whose scores are
        differences; behind all prompts the file has a row for what each is set against.

        Raises:
            MissingResultError: there is no such file, or no note.
            DamagedResultError: it is not what Kronfluence writes of so many prompts and examples.
        """
        self._run, self._path = run, run.module_scores(strategy)
        self._file = open_tensors(run, _STAGE, self._path)
        self._shape = (prompts + len(contrasted), examples)
        self._other = {prompt: row for row, prompt in enumerate(contrasted, start=prompts)}
        self._columns = _columns(run, strategy, examples)

    def __contains__(self, module: str) -> bool:
        return module in self._file

    def score(self, module: str, prompt: int, example: int) -> float:
        """A module's part of an example's raw score; `prompt` and `example` by their numbers.

        Raises:
            DamagedResultError: the module's tensor has another shape.
        """
        if (shape := self._file.array(module).shape) != self._shape:
            reason = f"tensor {module} is {list(shape)}, not {list(self._shape)}"
            raise damaged(self._run, _STAGE, self._path, reason)
        column = example if self._columns is None else int(self._columns[example])
        score = float(self._file.floats(module, prompt, column))
        if (other := self._other.get(prompt)) is not None:
            score -= float(self._file.floats(module, other, column))
        return score

    def forget_pages(self) -> None:
        """Lets go of the memory that looking at scores took."""
        self._file.forget_pages()


def has_module_scores(run: RunDir, strategy: str) -> bool:
    """Whether a strategy's file is there."""
    return run.module_scores(strategy).exists()


def _columns(run: RunDir, strategy: str, examples: int) -> NDArray[np.int32] | None:
    """The column of every example [N]; None: they come as they are.

    Parsed by NumPy: a million numbers of Python's own would take 50 MB.
    """
    path = run.module_scores_order(strategy)
    with readable(run, _STAGE, path):
        match = _INDICES.search(path.read_bytes())
    if match is None:
        raise damaged(run, _STAGE, path, "it does not say in which order examples were scored")
    if match[1] is None:
        return None
    with readable(run, _STAGE, path):
        order = np.fromstring(match[1].decode(), np.int32, sep=",")
    columns = np.full(examples, -1, np.int32)
    if len(order) == examples and order.min(initial=0) >= 0 and order.max(initial=-1) < examples:
        columns[order] = np.arange(examples, dtype=np.int32)
    if (columns < 0).any():
        raise damaged(run, _STAGE, path, f"it does not name each of {examples:,} examples once")
    return columns
