"""Sets: many prompts as one query, ranked from the scores that are stored; nothing is kept twice.

Influence is linear in the prompt: the scores of a sum of prompts' losses are the sum of their rows.
So the row of a set is the mean of its prompts' rows. Each row is first divided by its own root mean
square over the examples, because prompts have scales of their own: the gradient of an answer that
the model finds unlikely, or of a long one, is many times larger, and that one prompt would decide
for the set. A score of 1 is thus the size of an ordinary score. A row of a normalized method has
been divided by the examples' √self-influence already, which is the same for every prompt.

NumPy is imported with the first ranking.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.contract.errors import MissingResultError, UsageError
from pipeline.contract.results.common import rewrite_command
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt

if TYPE_CHECKING:
    from pipeline.contract.results.ranks import Order, Scores
    from pipeline.contract.results.score_file import ScoreFile

_STAGE = "scores"


@dataclass(frozen=True)
class SetRanking:
    """All examples that have a score for a set, highest first."""

    name: str
    method: str
    prompts: tuple[str, ...]
    """Ids of the prompts whose rows are in it."""
    left_out: tuple[str, ...]
    """Ids of those without a row: the model answered nothing, or no example has a score."""
    scores: Scores
    """[N] float32, by position in the corpus; NaN = missing."""
    order: Order
    """Positions of examples [≤ N], equal scores in the order of the corpus."""
    fresh: bool
    """Whether the scores were computed with the settings and inputs that hold now."""

    def described(self) -> str:
        """`12 prompts weighted alike: …`."""
        without = f", without {len(self.left_out):,} that have no scores" * bool(self.left_out)
        return f"{weighed(len(self.prompts))}{without}"


def sets_of(prompts: Iterable[Prompt]) -> dict[str, tuple[str, ...]]:
    """Ids of the prompts of each set, by its name; both in the order of the prompts."""
    sets: dict[str, tuple[str, ...]] = {}
    for prompt in prompts:
        if prompt.set is not None:
            sets[prompt.set] = (*sets.get(prompt.set, ()), prompt.id)
    return sets


def weighed(prompts: int) -> str:
    """How the prompts of a set come together, for a heading."""
    alike = "weighted alike: each one's scores ÷ their root mean square"
    return f"{prompts:,} prompt{'s' * (prompts != 1)} {alike}"


def set_row(name: str) -> str:
    """What a set is called among the ids of prompts."""
    return f"Σ {name}"


def set_of_row(row: str) -> str | None:
    """The set that is called so among the ids of prompts; None for a prompt."""
    name = row.removeprefix(set_row(""))
    return name if name != row else None


def set_ranking(run: RunDir, name: str, method: str | None = None) -> SetRanking:
    """Ranks the examples for a set of prompts; `method`: by default the run's own.

    Raises:
        UsageError: there is no such set or method; names those that are.
        MissingResultError: the scores stage has not finished, or lacks the set's prompts.
        DamagedResultError: a file is not what its stage writes.
    """
    from pipeline.contract.results.ranks import highest_first
    from pipeline.contract.results.score_file import load_scores

    loaded = load_scores(run)
    file, prompts = loaded.value, read_prompts(run)
    sets = sets_of(prompts)
    if name not in sets:
        raise _no_such_set(name, sets)
    method = method or file.metadata.default_method
    if method not in file.metadata.methods:
        valid = ", ".join(file.metadata.methods)
        raise UsageError(f"there is no method {method!r}; valid: {valid}")
    there = [prompt_id for prompt_id in sets[name] if prompt_id in file.metadata.prompts]
    if not there or (len(there) < len(sets[name]) and not loaded.fresh):
        lacking = sorted(set(sets[name]) - set(there))
        raise MissingResultError(
            f"set {name!r} has no scores yet for {len(lacking):,} of its "
            f"{len(sets[name]):,} prompts, as {lacking[0]!r}",
            f"`{rewrite_command(run, _STAGE)}` scores them",
            _STAGE,
        )
    scores, ranked = combined(file, there, method)
    return SetRanking(
        name=name,
        method=method,
        prompts=ranked,
        left_out=tuple(prompt_id for prompt_id in sets[name] if prompt_id not in ranked),
        scores=scores,
        order=highest_first(scores),
        fresh=loaded.fresh,
    )


def combined(
    file: ScoreFile, prompt_ids: Iterable[str], method: str
) -> tuple[Scores, tuple[str, ...]]:
    """The scores [N] of prompts as one query, NaN where one of them has none; and which of the
    prompts are in it. One row is in memory at a time."""
    rows = {prompt_id: row for row, prompt_id in enumerate(file.metadata.prompts)}
    named = ((prompt_id, file.scores(rows[prompt_id], method)) for prompt_id in prompt_ids)
    return mean_of_rows(named, file.metadata.examples)


def mean_of_rows(
    rows: Iterable[tuple[str, Scores]], examples: int
) -> tuple[Scores, tuple[str, ...]]:
    """The mean of rows [N] that are divided by their root mean square, summed in float64; and the
    ids of those in it. A row without any score, or of zeros alone, says nothing: it is left out."""
    import numpy as np

    total, taken = np.zeros(examples, np.float64), []
    for prompt_id, scaled in _scaled(rows):
        total += scaled
        taken.append(prompt_id)
    mean = total / len(taken) if taken else np.full(examples, np.nan)
    return mean.astype(np.float32), tuple(taken)


def _scaled(rows: Iterable[tuple[str, Scores]]) -> Iterator[tuple[str, Scores]]:
    import numpy as np

    for prompt_id, row in rows:
        wide = row.astype(np.float64)
        known = wide[~np.isnan(wide)]
        size = np.sqrt(np.mean(np.square(known))) if len(known) else 0.0
        if size > 0:
            yield prompt_id, wide / size


def _no_such_set(name: str, sets: dict[str, tuple[str, ...]]) -> UsageError:
    if not name.strip():
        return UsageError("the name of the set is empty", f"sets: {', '.join(sets) or 'none'}")
    if not sets:
        hint = 'a prompt joins one by a key "set", such as "set": "rivers"; then score again'
        return UsageError(f"there is no set {name!r}: no prompt of the run names a set", hint)
    return UsageError(f"there is no set {name!r}; valid: {', '.join(sets)}")
