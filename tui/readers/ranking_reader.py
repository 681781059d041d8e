"""Prompts, answers and rankings of a run. NumPy and PyArrow are imported on first use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from pipeline.contract.errors import MissingResultError
from pipeline.contract.results.answers import GreedyAnswer, read_answers
from pipeline.contract.results.common import rewrite_command
from pipeline.contract.results.examples import Turn, read_turns
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.scores import STAGE, load_scores_summary
from pipeline.contract.results.sets import set_row, sets_of
from pipeline.contract.results.tokens import TokenScores, find_token_scores
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.wording import listed

if TYPE_CHECKING:
    from tui.readers.scores import Scored


Sort = Literal["score", "tokens", "group", "corpus"]
"""Score or length: highest first. Near-duplicates together. The order of the corpus."""
SORTS: tuple[Sort, ...] = get_args(Sort)


@dataclass(frozen=True)
class RankingsOverview:
    """What there is to browse."""

    answers: tuple[GreedyAnswer, ...]
    methods: tuple[str, ...]
    default_method: str
    examples: int
    """Training examples that were ranked."""
    stale: bool
    """The settings or inputs have changed since."""


class RankingReader:
    """Reads `scores/` of one run."""

    def __init__(self, run: RunDir) -> None:
        self._run = run

    def overview(self) -> RankingsOverview:
        """Prompts and methods.

        Raises:
            MissingResultError: there are no rankings; says why and what to do.
            DamagedResultError: a file is not what the stage writes.
        """
        run = self._run
        loaded = load_scores_summary(run)
        if not run.lookup.exists():  # format 1 at first had none
            hint = f"`{rewrite_command(run, STAGE)}` scores again"
            raise MissingResultError("these scores were kept without the examples' texts", hint)
        summary = loaded.value
        return RankingsOverview(
            answers=tuple(self._answers()),
            methods=summary.methods,
            default_method=summary.default_method,
            examples=summary.examples,
            stale=not loaded.fresh,
        )

    def scored(self) -> Scored:
        """The scores of all examples.

        Raises:
            MissingResultError: a file of them is gone.
            DamagedResultError: a file of them is not what the stage writes.
        """
        from tui.readers.allocator import give_back_large_arrays
        from tui.readers.scores import Scored

        give_back_large_arrays()
        return Scored(self._run)

    def tokens(self, prompt_id: str, example_id: str) -> TokenScores | None:
        """Per-token scores, which only the first examples of a prompt have."""
        return find_token_scores(self._run, prompt_id, example_id)

    def turns(self, position: int) -> tuple[Turn, ...]:
        """Who says what in a training example; none in plain text, or where it is not kept."""
        return read_turns(self._run, position) if self._run.examples.exists() else ()

    def _answers(self) -> Iterator[GreedyAnswer]:
        """Every prompt, with what is known of the model's answer to it; then the sets."""
        known = read_answers(self._run)
        prompts = read_prompts(self._run)
        for prompt in prompts:
            answer = known.get(prompt.id, GreedyAnswer(prompt.id, prompt.prompt, ""))
            completion = answer.completion or prompt.completion
            yield replace(
                answer, prompt=prompt.prompt, completion=completion, set_against=prompt.instead
            )
        for name, ids in sets_of(prompts).items():
            yield GreedyAnswer(set_row(name), f"a set of {len(ids):,} prompts: {listed(ids)}", "")
