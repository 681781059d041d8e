"""Compares a finished run's scores with those of a plain Kronfluence script.

    python -m bench.plain_kronfluence RUN_DIR [--batch-size 8]

The script below uses Kronfluence as its own examples do: a task of its own, every sequence padded
to the longest of the data set, a fixed batch size. For each of the run's strategies it computes
the scores twice, in a temporary folder:

    own       with factors that it fits itself
    opened    with the factors of the run, which plain Kronfluence opens

and prints, over the prompts, the smallest and median Spearman correlation with the run's scores,
the largest difference relative to the prompt's largest score, and the seconds of both. With the
true Fisher the own factors rest on other sampled labels, so only "opened" can be equal then.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.module.linear import TrackedLinear
from kronfluence.module.tracked_module import TrackedModule
from kronfluence.task import Task
from numpy.typing import NDArray
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.contract.results.examples import read_tokens
from pipeline.contract.results.factors import read_factors_summary
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.scores import read_scores_summary
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import load_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.labelling import encode_pair

Rows = list[dict[str, Tensor]]


class PlainTask(Task):  # type: ignore[misc]
    """Summed next-token loss."""

    def __init__(self, modules: list[str]) -> None:
        self.modules = modules

    def get_influence_tracked_modules(self) -> list[str]:
        """The run's own."""
        return self.modules

    def get_attention_mask(self, batch: dict[str, Tensor]) -> Tensor:
        """1 for tokens, 0 for padding."""
        return batch["attention_mask"]

    def compute_train_loss(
        self, batch: dict[str, Tensor], model: nn.Module, sample: bool = False
    ) -> Tensor:
        """With the data's labels, or with sampled ones."""
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        logits = logits[:, :-1].reshape(-1, logits.shape[-1]).float()
        labels = batch["labels"][:, 1:].reshape(-1)
        if sample:
            with torch.no_grad():
                drawn = torch.multinomial(logits.softmax(dim=-1), num_samples=1).flatten()
            labels = torch.where(labels == -100, labels, drawn)
        return functional.cross_entropy(logits, labels, reduction="sum", ignore_index=-100)

    def compute_measurement(self, batch: dict[str, Tensor], model: nn.Module) -> Tensor:
        """The same loss; only the completion is labelled."""
        return self.compute_train_loss(batch, model)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A strategy's scores by plain Kronfluence beside the run's."""

    strategy: str
    factors: str
    """"own" or "opened"."""
    spearman: NDArray[np.float64]
    """One a prompt."""
    difference: float
    """Largest |plain − run| ÷ the prompt's largest |run|."""
    seconds_run: float
    """What the run took for the same: the scores, and for "own" also the factors."""
    seconds_plain: float


def compare(run: RunDir, batch_size: int) -> list[Comparison]:
    """Computes every strategy's scores anew and compares them."""
    settings = load_settings(run.settings)
    summary = read_scores_summary(run)
    fitted = read_factors_summary(run)
    computed = ScoreFile(run)
    train, queries = _examples(run), _queries(run, settings)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        analyzer = _analyzer(run, list(summary.modules), folder)
        for strategy in settings.factors.strategies:
            seconds = summary.seconds[f"{strategy} scores"]
            opened = Path(folder) / run.analysis_name / f"factors_{strategy}_opened"
            opened.symlink_to(run.factors(strategy).resolve())
            begun = time.monotonic()
            _fit(analyzer, strategy, settings, train, batch_size)
            fit_seconds = time.monotonic() - begun
            for name, before, run_before in (
                (strategy, fit_seconds, fitted.seconds[strategy]),
                (f"{strategy}_opened", 0.0, 0.0),
            ):
                begun = time.monotonic()
                scores = _score(analyzer, name, settings, queries, train, batch_size)
                took = before + time.monotonic() - begun
                kind = "opened" if before == 0.0 else "own"
                spearman, difference = likeness(scores, computed.method(strategy))
                found.append(
                    Comparison(strategy, kind, spearman, difference, run_before + seconds, took)
                )
    return found


def plain_scores(run: RunDir, strategy: str, batch_size: int) -> NDArray[np.float32]:
    """Scores [prompts, examples] of one strategy with factors that are fitted here."""
    settings = load_settings(run.settings)
    modules = list(read_scores_summary(run).modules)
    train, queries = _examples(run), _queries(run, settings)
    with tempfile.TemporaryDirectory() as folder:
        analyzer = _analyzer(run, modules, folder)
        _fit(analyzer, strategy, settings, train, batch_size)
        return _score(analyzer, strategy, settings, queries, train, batch_size)


def _analyzer(run: RunDir, modules: list[str], folder: str) -> Analyzer:
    assert TrackedModule.SUPPORTED_MODULES[nn.Linear] is TrackedLinear, "not plain any more"
    task = PlainTask(modules)
    model = AutoModelForCausalLM.from_pretrained(run.model, dtype=torch.float32)
    return Analyzer(
        analysis_name=run.analysis_name,
        model=prepare_model(model, task),
        task=task,
        disable_tqdm=True,
        output_dir=folder,
    )


def _fit(
    analyzer: Analyzer, strategy: str, settings: Settings, train: Rows, batch_size: int
) -> None:
    torch.manual_seed(settings.run.seed)
    args = FactorArguments(
        strategy=strategy,
        use_empirical_fisher=settings.factors.fisher == "empirical",
        **_arguments(FactorArguments, settings.factors),
    )
    analyzer.fit_all_factors(strategy, train, per_device_batch_size=batch_size, factor_args=args)


def _score(
    analyzer: Analyzer,
    factors: str,
    settings: Settings,
    queries: Rows,
    train: Rows,
    batch_size: int,
) -> NDArray[np.float32]:
    damping, gathered = settings.scores.damping, settings.scores.query_gradient_accumulation_steps
    chosen = _arguments(ScoreArguments, settings.scores)
    chosen |= {
        "damping_factor": None if damping == "heuristic" else damping,
        "query_gradient_accumulation_steps": gathered or 1,  # 0 = what memory holds, for ours
    }
    args = ScoreArguments(**chosen)
    analyzer.compute_pairwise_scores(
        scores_name=factors,
        factors_name=factors,
        query_dataset=queries,
        train_dataset=train,
        per_device_query_batch_size=batch_size,
        per_device_train_batch_size=batch_size,
        score_args=args,
    )
    scores: NDArray[np.float32] = analyzer.load_pairwise_scores(factors)["all_modules"].numpy()
    return scores


def _arguments(kind: type, section: BaseModel) -> dict[str, Any]:
    """The settings that Kronfluence's arguments have under the same name; 0 and "none" = None."""
    names = {field.name for field in dataclasses.fields(kind)} & set(type(section).model_fields)
    values = {name: getattr(section, name) for name in names}
    return {
        name: (None if value == "none" else getattr(torch, value))
        if name.endswith("dtype")
        else (value or (False if isinstance(value, bool) else None))
        for name, value in values.items()
    }


def _examples(run: RunDir) -> Rows:
    tokens = [row.tolist() for row in read_tokens(run)]
    return padded_rows([(row, row) for row in tokens])


def _queries(run: RunDir, settings: Settings) -> Rows:
    tokenizer = AutoTokenizer.from_pretrained(run.tokenizer)
    pairs = [
        encode_pair(tokenizer, prompt.prompt, prompt.completion)
        for prompt in load_prompts(run.prepared_prompts)
    ]
    return padded_rows([(head + tail, [-100] * len(head) + tail) for head, tail in pairs])


def padded_rows(rows: list[tuple[list[int], list[int]]]) -> Rows:
    """Every row as long as the longest."""
    longest = max(len(tokens) for tokens, _ in rows)
    return [
        {
            "input_ids": torch.tensor(tokens + [0] * (longest - len(tokens))),
            "attention_mask": torch.tensor([1] * len(tokens) + [0] * (longest - len(tokens))),
            "labels": torch.tensor(labels + [-100] * (longest - len(labels))),
        }
        for tokens, labels in rows
    ]


def likeness(
    plain: NDArray[np.float32], run: NDArray[np.float32]
) -> tuple[NDArray[np.float64], float]:
    """Spearman correlations by prompt, and the largest relative difference."""
    ranks = [scores.argsort(axis=1).argsort(axis=1) for scores in (plain, run)]
    spearman = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks, strict=True)])
    largest = np.abs(run).max(axis=1, keepdims=True)
    return spearman, float((np.abs(plain - run) / largest).max())


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--batch-size", type=int, default=8)
    options = parser.parse_args()
    columns = ("strategy", "factors", "Spearman min", "median", "difference", "run s", "plain s")
    table = Table(*columns)
    for row in compare(RunDir(options.run), options.batch_size):
        table.add_row(
            row.strategy,
            row.factors,
            f"{row.spearman.min():.6f}",
            f"{np.median(row.spearman):.6f}",
            f"{row.difference:.1e}",
            f"{row.seconds_run:.1f}",
            f"{row.seconds_plain:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
