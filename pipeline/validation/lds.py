"""The linear datamodeling score: do summed scores predict what other training data would do?

Shape legend: M subsets, Q prompts, N training examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.scores import BM25
from pipeline.contract.results.sets import mean_of_rows, set_row, sets_of
from pipeline.contract.results.validation import Datamodeling, DatamodelingScore, ScoreAdvantage
from pipeline.evaluation.statistics import CONFIDENCE, RESAMPLES
from pipeline.sharing.stage import SharedStage
from pipeline.validation.context import ValidationContext
from pipeline.validation.ledger import Outcome
from pipeline.validation.retraining import Training

RANDOM_HALVES = "random halves"


def datamodeling(
    context: ValidationContext, others: Mapping[str, Scores], sharing: SharedStage | None
) -> Datamodeling | None:
    """The score of every ranking, and of `others` beside them, then of each set's; None if not
    asked for.

    Advantages are over BM25 on the same resamples.
    """
    wanted = context.wanted
    if not wanted.subsets:
        return None
    halves = random_halves(wanted.subsets, len(context.examples), context.seed)
    seeds = range(context.seed, context.seed + wanted.subset_seeds)
    trainings = [Training(half, seed) for half in halves for seed in seeds]
    outcomes = np.array(context.outcomes(RANDOM_HALVES, trainings, sharing))
    measured = outcomes.reshape(len(halves), len(seeds), -1).mean(axis=1)
    trained = SubsetOutcomes(halves, len(context.examples), measured, context.seed)
    found = _beside_bm25(trained, {**context.compared, **context.methods, **others})
    rows = {prompt.id: row for row, prompt in enumerate(context.prompts)}
    for name, ids in sets_of(context.prompts).items():
        chosen = [rows[prompt_id] for prompt_id in ids]
        of_set = trained.of_set(chosen)
        alike = {way: _row_of_set(scores[chosen]) for way, scores in context.compared.items()}
        told = _beside_bm25(of_set, alike)
        found |= {f"{set_row(name)} · {way}": score for way, score in told.items()}
    return Datamodeling(subsets=trained.subsets, seeds=tuple(seeds), methods=found)


def _beside_bm25(
    trained: SubsetOutcomes, methods: Mapping[str, Scores]
) -> dict[str, DatamodelingScore]:
    """The score of every ranking that has one."""
    results = {name: trained.score(scores) for name, scores in methods.items()}
    reference = results[BM25]
    return {
        name: replace(result[0], advantage=_advantage(result, reference))
        for name, result in results.items()
        if result is not None
    }


def _row_of_set(rows: Scores) -> Scores:
    """The one row [1, N] by which the examples are ranked for the prompts of a set [q, N]."""
    named = ((str(place), row) for place, row in enumerate(rows))
    return mean_of_rows(named, rows.shape[1])[0][None]


def _advantage(result: Result, reference: Result | None) -> ScoreAdvantage | None:
    if reference is None or result is reference:
        return None
    difference = result[0].value - reference[0].value
    return ScoreAdvantage(difference, *interval(result[1] - reference[1]))


def random_halves(subsets: int, examples: int, seed: int) -> list[NDArray[np.intp]]:
    """`subsets` random halves of the examples, ascending indices."""
    rng = np.random.default_rng([seed, 0])
    return [np.sort(rng.permutation(examples)[: (examples + 1) // 2]) for _ in range(subsets)]


Result = tuple[DatamodelingScore, NDArray[np.float64]]
"""A score, and every resample of it [R], paired between methods."""


class SubsetOutcomes:
    """What trainings on subsets came to, and how well scores predict it.

    Source: Park et al. 2023 (TRAK), definition 2.3; the resampling of both subsets and prompts,
    because all prompts share the subsets, is the crossed bootstrap of Owen 2007 ("The
    pigeonhole bootstrap").
    """

    def __init__(
        self, kept: list[NDArray[np.intp]], examples: int, outcomes: Outcome, seed: int
    ) -> None:
        """`outcomes` [M, Q] are ln p of the completions; subsets whose training failed are NaN."""
        self._seed = seed
        finite = np.isfinite(outcomes).all(axis=1)
        self._outcomes = outcomes[finite]
        self._members = np.zeros((len(kept), examples), dtype=np.float64)
        for row, indices in enumerate(kept):
            self._members[row, indices] = 1.0
        self._members = self._members[finite]
        self.subsets, prompts = self._outcomes.shape
        # resampled once: every ranking meets the same resamples, so that differences are paired
        rng = np.random.default_rng([seed, 1])
        self._resampled_subsets = rng.integers(self.subsets, size=(RESAMPLES, self.subsets))
        self._resampled_prompts = rng.integers(prompts, size=(RESAMPLES, prompts))

    def of_set(self, chosen: list[int]) -> SubsetOutcomes:
        """What the trainings came to for some prompts together [M, 1], weighted alike as their
        scores are: each one's deviation from its mean in standard deviations over the subsets."""
        each = self._outcomes[:, chosen]
        spread = each.std(axis=0)
        alike = (each - each.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        kept = [np.flatnonzero(members) for members in self._members]
        together = alike.mean(axis=1, keepdims=True)
        return SubsetOutcomes(kept, self._members.shape[1], together, self._seed)

    def score(self, scores: Scores) -> Result | None:
        """How well `scores` [Q, N] predict the outcomes.

        A missing score counts as 0; a prompt without scores is left out. None where no prompt has
        any, or no subset was trained.
        """
        there = np.isfinite(scores).any(axis=1)
        if self.subsets < 2 or not there.any():
            return None
        # float64: a half sums thousands of scores, and only the order of the sums counts
        predicted = self._members @ np.nan_to_num(scores.astype(np.float64)).T
        each = np.where(there, spearman(predicted, self._outcomes), np.nan)
        resampled = np.array(
            [
                np.nanmean(spearman(predicted[rows][:, columns], self._outcomes[rows][:, columns]))
                for rows, columns in zip(
                    self._resampled_subsets,
                    _among(self._resampled_prompts, np.flatnonzero(there)),
                    strict=True,
                )
            ]
        )
        low, high = interval(resampled)
        value = float(np.nanmean(each))
        return DatamodelingScore(value, low, high, int(there.sum())), resampled


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rank correlation of each column [Q] of two tables [M, Q]; 0 where one is constant."""
    ranks = [rankdata(table, axis=0) for table in (first, second)]
    a, b = (table - table.mean(axis=0) for table in ranks)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    both: NDArray[np.float64] = (a * b).sum(axis=0)
    zero = norm == 0
    return np.where(zero, 0.0, both / np.where(zero, 1.0, norm))


def interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of resamples."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    return float(low), float(high)


def _among(resampled: NDArray[np.intp], there: NDArray[np.intp]) -> NDArray[np.intp]:
    """Resampled prompts turned into resampled ones of `there`."""
    return there[resampled % len(there)]
