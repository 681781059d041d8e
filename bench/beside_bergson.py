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
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from bench.influence import QUICK, STRATEGY, TRIAL, accelerated, read_data
from bench.plain_kronfluence import likeness
from pipeline.contract.files import read_json, write_text
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import load_settings
from pipeline.corpus.examples import TokenBatch, TokenDataset
from pipeline.influence.answers import traced_prompts
from pipeline.influence.fitting import fit
from pipeline.influence.rankings import Scores
from pipeline.influence.scoring import pairwise_scores, sum_modules
from pipeline.influence.task import LanguageModelingTask
from pipeline.model import load_tokenizer

PASSES = Path(__file__).with_name("bergson_passes.py")
JUDGED = ("ekfac:0.1", "ekfac:1e-3", "ekfac:1e-8", "kfac:0.1")
"""Strategy and damping ÷ mean eigenvalue; 0.1 is Bergson's own."""
TIMED = "ekfac:0.1"


def bergson_rankings(run: RunDir, folder: Path) -> list[Path]:
    """Bergson's scores of a run's prompts and examples, in files for `validation.outside`.

    `folder` is written anew unless it has them all.
    """
    files = [_file(folder, ranking) for ranking in JUDGED]
    if not all(file.exists() for file in files):
        shutil.rmtree(folder, ignore_errors=True)
        _score(run, folder)
    ours = [name.removeprefix("model.") for name in read_json(run.summary("scores"))["modules"]]
    if sorted(read_json(folder / "summary.json")["modules"]) != sorted(ours):
        raise SystemExit(f"{run.root}: only all layers' MLP modules can be compared")
    return files


def _score(run: RunDir, folder: Path) -> None:
    settings = load_settings(run.settings)
    prompts = traced_prompts(run, settings.prompts.use_generated)
    queries = TokenDataset.of_prompts(prompts, load_tokenizer(run.tokenizer))
    examples = TokenDataset.of_examples(run.examples)
    shutil.copytree(run.model, folder / "model")
    shutil.copytree(run.tokenizer, folder / "tokenizer")
    labels = ["--data-labels"] * (settings.factors.fisher == "empirical")
    context = read_json(run.model / "config.json")["max_position_embeddings"]
    _work(folder, examples, queries, [*JUDGED, f"--tokens={min(context, 2048)}", *labels])


def _work(
    folder: Path, examples: TokenDataset, prompts: TokenDataset, arguments: Sequence[str]
) -> dict[str, Any]:
    """Has Bergson score what `folder`'s model makes of them; returns its summary."""
    _write(folder / "train.jsonl", examples)
    _write(folder / "prompts.jsonl", prompts)
    command = ["uv", "run", "--script", str(PASSES), str(folder), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{PASSES.name} failed:\n{done.stderr[-3000:]}")
    summary: dict[str, Any] = read_json(folder / "summary.json")
    return summary


def _write(path: Path, rows: TokenDataset) -> None:
    lines = []
    for index, length in enumerate(rows.lengths):
        tokens, labels = rows[index]["input_ids"].tolist(), rows[index]["labels"].tolist()
        lines.append(json.dumps({"input_ids": tokens, "labels": labels, "length": length}) + "\n")
    write_text(path, "".join(lines))


def _file(folder: Path, ranking: str) -> Path:
    return folder / f"bergson_{ranking.replace(':', '_')}.npy"


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
        seconds = _work(folder, rows, prompts, arguments)["seconds"]
        scores = np.load(_file(folder, TIMED))
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
