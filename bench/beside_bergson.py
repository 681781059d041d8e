"""Scores the same examples with Bergson and with this project: its rankings, and its seconds.

    uv run python -m bench.beside_bergson [--quick] [--budgets 256 2048] [--data FOLDER]

The model, posts, prompts and modules of `bench.influence`'s "trial" shape; EKFAC with the data's
own labels, damping 0.1 × the mean eigenvalue, float32. Bergson does the steps of `bergson ekfac`
(`bergson_passes.py`, in an environment that uv makes for it) in its own batches, once for every
budget of tokens, which may not be above the model's context. It leaves every example's last token,
which predicts nothing, out of the covariances; Kronfluence counts it. So ours is also computed its
way: then both must come to the same. Prints processor seconds, Bergson ÷ ours, and over the prompts
the smallest Spearman correlation of the two score tables. `bench.validate RUN --bergson` judges its
rankings.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from bench.bergson_rankings import run_bergson, scores_file
from bench.influence import QUICK, STRATEGY, TRIAL, accelerated, read_data
from bench.plain_kronfluence import likeness
from pipeline.contract.results.ranks import Scores
from pipeline.contract.run.run_dir import RunDir
from pipeline.corpus.examples import TokenBatch, TokenDataset
from pipeline.influence.fitting import fit
from pipeline.influence.scoring import pairwise_scores, sum_modules
from pipeline.influence.task import LanguageModelingTask

TIMED = "ekfac:0.1"


@dataclass(frozen=True)
class Timing:
    """Processor seconds by pass, and the scores [Q, N] that they led to."""

    factors: float
    scores: float
    """Prompts' gradients counted."""
    table: Scores


def ours(rows: TokenDataset, prompts: TokenDataset) -> Timing:
    """By `fit` and `pairwise_scores`."""
    with tempfile.TemporaryDirectory() as folder:
        analyzer = accelerated(TRIAL, RunDir(Path(folder) / "run"))
        times = [time.process_time()]
        fit(analyzer, STRATEGY, rows)
        times.append(time.process_time())
        scores = sum_modules(pairwise_scores(analyzer, STRATEGY, prompts, rows))
        times.append(time.process_time())
    factors, scoring = np.diff(times).tolist()
    return Timing(factors, scoring, scores.numpy())


@contextmanager
def last_tokens_left_out() -> Iterator[None]:
    """While entered, ours masks every example's last token as Bergson does."""
    mask = LanguageModelingTask.get_attention_mask

    def shifted(task: LanguageModelingTask, batch: TokenBatch) -> Tensor:
        return functional.pad(mask(task, batch)[:, 1:], (0, 1))

    with patch.object(LanguageModelingTask, "get_attention_mask", shifted):
        yield


def bergsons(rows: TokenDataset, prompts: TokenDataset, source: Path, budget: int) -> Timing:
    """By Bergson's steps, with what each of them loads; `source` has the tokenizer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(source / "tokenizer/hf", folder / "tokenizer")
        TRIAL.model().save_pretrained(folder / "model")
        arguments = [TIMED, "--data-labels", f"--tokens={budget}"]
        seconds = run_bergson(folder, rows, prompts, arguments)["seconds"]
        scores = np.load(scores_file(folder, TIMED))
        return Timing(seconds["factors"], seconds["prompts"] + seconds[TIMED], scores)


def table_of(mine: Timing, its_way: Timing, by_budget: dict[int, Timing], title: str) -> Table:
    """Seconds, ratios and likeness; `its_way` is ours with the last tokens left out."""
    columns = ("", "factors s", "scores s", "together s", "÷ ours", "Spearman", "its way")
    table = Table(*columns, title=title)
    together = mine.factors + mine.scores
    table.add_row("ours", *_seconds(mine), "", "", "")
    for budget, theirs in by_budget.items():
        table.add_row(
            f"Bergson, {budget:,}",
            *_seconds(theirs),
            f"{(theirs.factors + theirs.scores) / together:.2f}",
            *(f"{likeness(theirs.table, each.table)[0].min():.6f}" for each in (mine, its_way)),
        )
    return table


def _seconds(timing: Timing) -> list[str]:
    return [f"{s:.1f}" for s in (timing.factors, timing.scores, timing.factors + timing.scores)]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer examples")
    parser.add_argument("--budgets", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    examples = QUICK[TRIAL.name] if options.quick else TRIAL.examples
    rows, prompts = read_data(options.data, examples, TRIAL.prompts)
    mine = ours(rows, prompts)
    with last_tokens_left_out():
        its_way = ours(rows, prompts)
    found = {budget: bergsons(rows, prompts, options.data, budget) for budget in options.budgets}
    title = f"{len(rows)} examples, {sum(rows.lengths):,} tokens, {len(prompts)} prompts"
    Console().print(table_of(mine, its_way, found, title))


if __name__ == "__main__":
    main()
