"""A run as an object: its examples, scores, rankings, spectra, and answers to new prompts.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from headwater.table import Table
from pipeline.contract.errors import UsageError
from pipeline.contract.files import expanded
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.contract.results.controls import Controls
    from pipeline.contract.results.score_file import ScoreFile, ScoreMetadata
    from pipeline.contract.results.sets import SetRanking


def open_run(path: str | os.PathLike[str]) -> Run:
    """Opens a run's folder, such as "runs/demo".

    Raises:
        UsageError: there is no run in the folder.
    """
    run = RunDir(expanded(str(path)))
    if not run.settings.is_file():
        raise UsageError(
            f"there is no run in {run.root}",
            "a run is a folder with a settings.toml, written by `headwater run`",
        )
    return Run(run)


@dataclass(frozen=True)
class Answer:
    """What the model answers to a new prompt, and the training examples that taught it."""

    text: str
    """The completion that was traced: the given one, or the model's own greedy answer."""
    examples: Table
    """rank, example_id, document_id, text, source, row, score (as the run ranks), raw (the
    influence before it is normalized); exact, not by the index."""


class ScoreTable(Mapping[str, "NDArray[np.float32]"]):
    """Scores by method: float32 arrays [Q, N], NaN = missing, read from the disk as they are used.

    Positive = proponent: more of the example lowers the loss of the prompt's completion.
    """

    def __init__(self, file: ScoreFile) -> None:
        self._file = file

    @property
    def metadata(self) -> ScoreMetadata:
        """How the scores came about: prompts (rows), strategy, damping, precision, modules."""
        return self._file.metadata

    def __getitem__(self, method: str) -> NDArray[np.float32]:
        if method not in self.metadata.methods:
            raise KeyError(method)
        return self._file.method(method)

    def __iter__(self) -> Iterator[str]:
        return iter(self.metadata.methods)

    def __len__(self) -> int:
        return len(self.metadata.methods)


class Run:
    """A run's results. Each is read when it is first asked for, and kept.

    Every result raises `MissingResultError` where its stage has not finished and
    `DamagedResultError` where a file is not what the stage writes.
    """

    def __init__(self, run: RunDir) -> None:
        self._run = run

    def __repr__(self) -> str:
        return f"headwater.open_run({str(self._run.root)!r})"

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self._run.name

    @cached_property
    def examples(self) -> Table:
        """The training examples in the order of the scores' columns: example_id, document_id,
        chunk, chunks, text, tokens, n_tokens, duplicate_group, source, row."""
        from pipeline.contract.results.common import load
        from pipeline.contract.results.examples import STAGE, read_examples

        return Table(load(self._run, STAGE, read_examples).value)

    @cached_property
    def scores(self) -> ScoreTable:
        """Every example's score for every prompt, by method."""
        from pipeline.contract.results.score_file import load_scores

        return ScoreTable(load_scores(self._run).value)

    @property
    def is_fresh(self) -> bool:
        """Whether the scores were computed with the settings and inputs that hold now."""
        from pipeline.contract.results.score_file import load_scores

        return load_scores(self._run).fresh

    def rank(
        self,
        prompt: str,
        method: str | None = None,
        top: int | None = 10,
        end: Literal["top", "bottom"] = "top",
    ) -> Table:
        """Training examples ranked for a prompt, by its id.

        `method`: by default the run's own. `top`: how many; None = all. `end`: "bottom" begins
        with the lowest score. The columns are rank (1 = highest score of all), score, and those
        of `examples`; examples without a score are left out.

        Raises:
            UsageError: there is no such prompt or method; names those that are.
        """
        import numpy as np
        import pyarrow as pa

        from pipeline.contract.results.ranks import highest_first

        metadata = self.scores.metadata
        method = method or metadata.default_method
        row = metadata.prompts.index(_require("prompt", prompt, metadata.prompts))
        scores = self.scores[_require("method", method, metadata.methods)][row]
        order = highest_first(scores)
        ranks = np.arange(1, len(order) + 1)
        count = len(order) if top is None else max(0, top)
        chosen = slice(count) if end == "top" else slice(None, -count - 1, -1)
        picked = order[chosen]
        columns = {"rank": pa.array(ranks[chosen]), "score": pa.array(scores[picked])}
        examples = self.examples.arrow.take(pa.array(picked))
        columns |= dict(zip(examples.column_names, examples.columns, strict=True))
        return Table(pa.table(columns))

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """Ids of the prompts of each set, by its name."""
        from pipeline.contract.results.prompts import read_prompts
        from pipeline.contract.results.sets import sets_of

        return sets_of(read_prompts(self._run))

    def rank_set(self, name: str, method: str | None = None) -> SetRanking:
        """All examples ranked for a set of prompts as one query, from the stored scores: scores [N]
        and their order; each prompt's scores are first divided by their root mean square.

        Raises:
            UsageError: there is no such set or method; names those that are.
        """
        from pipeline.contract.results.sets import set_ranking

        return set_ranking(self._run, name, method)

    def controls(self, prompt: str, method: str | None = None) -> Controls:
        """How far a prompt's ranking follows gradient size alone, and the ranking of the prompt
        that has the fewest words in common with it: Spearman's correlation, and how many of the
        first ten examples are the same.

        Raises:
            UsageError: there is no such prompt or method; names those that are.
        """
        from pipeline.contract.results.controls import ControlReader
        from pipeline.contract.results.prompts import read_prompts
        from pipeline.contract.results.score_file import load_scores

        file = load_scores(self._run).value
        method = _require("method", method or file.metadata.default_method, file.metadata.methods)
        _require("prompt", prompt, file.metadata.prompts)
        return ControlReader(file, read_prompts(self._run)).read(prompt, method)

    @cached_property
    def spectra(self) -> Table:
        """The spectra of the fitted factors: a row a strategy, module and kind of factor, with its
        statistics (count, rank, effective_rank, condition, …)."""
        import pyarrow as pa

        from pipeline.contract.results.spectra import load_spectra

        rows = [spectrum.record() for spectrum in load_spectra(self._run).value]
        return Table(pa.Table.from_pylist(rows))

    def ask(
        self,
        prompt: str,
        completion: str | None = None,
        top: int = 10,
        instead: str | None = None,
    ) -> Answer:
        """Traces a new prompt: the model's own greedy answer, or the completion that is given;
        `instead`: why that rather than this other completion.

        Starts a process that loads the model and the run's index, and ends it afterwards; one
        that `headwater ask RUN --serve` keeps ready is used instead.

        Raises:
            UsageError: the prompt or a completion is empty, or both completions are the same.
            MissingResultError: the run has no index yet.
            HeadwaterError: the model answers nothing, or the process has failed.
        """
        import pyarrow as pa

        from pipeline.contract.results.common import require_finished
        from pipeline.contract.run.asking import ask as put
        from pipeline.contract.run.asking import worker
        from pipeline.contract.run.replies import AnswerPart, AskedExample, ExampleList, Query

        query = Query(prompt, completion, top, instead).validated()
        require_finished(self._run, "index")
        text, examples = completion or "", tuple[AskedExample, ...]()
        with worker(self._run) as address:
            for reply in put(address, query):
                if isinstance(reply, AnswerPart):
                    text += reply.text
                elif isinstance(
                    reply, ExampleList
                ):  # first by the index; the exact list comes last and takes its place
                    examples = reply.rows
        return Answer(text, Table(pa.Table.from_pylist([vars(one) for one in examples])))


def _require(what: str, name: str, valid: tuple[str, ...]) -> str:
    if name not in valid:
        raise UsageError(f"there is no {what} {name!r}; valid: {', '.join(valid)}")
    return name
