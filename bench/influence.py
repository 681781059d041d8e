"""Times Kronfluence's passes with this project's batches and modules beside plain Kronfluence.

    uv run python -m bench.influence [--quick] [--data FOLDER]

Both get the same model, web posts cut to 32–256 tokens, modules (MLP), strategy (EKFAC, the data's
own labels), precision (float32) and prompts, pass by pass in turns, in one process:

    plain     as its examples use it: a fixed batch of 8, every sequence padded to the longest
    ours      `fit` and `pairwise_scores` of this project
    bare      forward and backward of the model, weights' gradients included, over our batches

at two shapes: "trial", 4 layers 256 wide with 32,000 pieces, all of it; and "TinyLlama", a layer of
TinyLlama-1.1B's own widths, where both get a cosine basis for eigenvectors: to decompose matrices
of 5,632 rows takes both the same minutes, and EKFAC is the same sums in any basis.

Prints processor seconds (of all threads: where others work too, they lie least), plain ÷ ours,
ours ÷ bare, and over the prompts the smallest Spearman correlation of the two score tables.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.module.linear import TrackedLinear
from kronfluence.module.tracked_module import TrackedModule
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from bench.plain_kronfluence import PlainTask, likeness, padded_rows
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import IGNORED, TokenDataset, pad_batch
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.budgeted_analyzer import by_length, length_batches
from pipeline.influence.fitting import decompose, fit_covariances, fit_lambda
from pipeline.influence.scoring import pairwise_scores, sum_modules
from pipeline.influence.task import LanguageModelingTask

STRATEGY = "ekfac"
PLAIN_BATCH = 8
FIGURES = ("covariance", "eigendecomposition", "lambda", "scores")


@dataclass(frozen=True)
class Shape:
    """A model and how much is done with it."""

    name: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    examples: int
    prompts: int
    any_basis: bool

    def model(self) -> LlamaForCausalLM:
        """Untrained, always the same."""
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=32_000,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
        )
        model: LlamaForCausalLM = LlamaForCausalLM(config).eval()  # type: ignore[no-untyped-call]
        return model


TRIAL = Shape("trial", 256, 688, 4, 4, 4, 256, 16, any_basis=False)
TINYLLAMA = Shape("TinyLlama", 2048, 5632, 1, 32, 4, 20, 2, any_basis=True)
QUICK = {"trial": 48, "TinyLlama": 12}


@dataclass
class Timing:
    """Processor seconds by pass: plain, ours, and of the bare model."""

    plain: dict[str, float] = field(default_factory=dict)
    ours: dict[str, float] = field(default_factory=dict)
    bare: float = 0.0
    spearman: float = 0.0
    difference: float = 0.0


class Plain:
    """Kronfluence as its examples use it."""

    def __init__(
        self, shape: Shape, modules: list[str], folder: Path, rows: TokenDataset, own: TokenDataset
    ) -> None:
        registered = TrackedModule.SUPPORTED_MODULES
        ours, registered[nn.Linear] = registered[nn.Linear], TrackedLinear
        task = PlainTask(modules)
        model = prepare_model(shape.model(), task)
        registered[nn.Linear] = ours
        self.analyzer = Analyzer("plain", model, task, disable_tqdm=True, output_dir=str(folder))
        self._rows, self._prompts = _padded(rows), _padded(own)
        self._args = FactorArguments(strategy=STRATEGY, use_empirical_fisher=True)

    def covariance(self) -> None:
        """Fits the covariances."""
        self.analyzer.fit_covariance_matrices(
            STRATEGY, self._rows, per_device_batch_size=PLAIN_BATCH, factor_args=self._args
        )

    def eigendecomposition(self) -> None:
        """Decomposes them."""
        self.analyzer.perform_eigendecomposition(STRATEGY, factor_args=self._args)

    def fit_lambda(self) -> None:
        """Fits the eigenvalues."""
        self.analyzer.fit_lambda_matrices(
            STRATEGY, self._rows, per_device_batch_size=PLAIN_BATCH, factor_args=self._args
        )

    def scores(self) -> Tensor:
        """Scores [Q, N]."""
        self.analyzer.compute_pairwise_scores(
            STRATEGY,
            STRATEGY,
            self._prompts,
            self._rows,
            per_device_query_batch_size=PLAIN_BATCH,
            per_device_train_batch_size=PLAIN_BATCH,
            score_args=ScoreArguments(damping_factor=None),
        )
        scores: Tensor = self.analyzer.load_pairwise_scores(STRATEGY)["all_modules"]
        return scores


def measure(shape: Shape, rows: TokenDataset, prompts: TokenDataset, folder: Path) -> Timing:
    """Every pass by plain, by ours, and the bare model between them."""
    found = Timing()
    run = RunDir(folder / "run")
    ours = accelerated(shape, run)
    plain = Plain(shape, ours.modules, folder, rows, prompts)
    budget = ours.tokens_per_batch(0, rows)
    bare: list[float] = []

    def turn(name: str, by_plain: Callable[[], Any], by_ours: Callable[[], Any]) -> list[Any]:
        results = []
        for seconds, work in ((found.plain, by_plain), (found.ours, by_ours)):
            with _timed(seconds, name):
                results.append(work())
        return results

    turn("covariance", plain.covariance, lambda: fit_covariances(ours, STRATEGY, rows))
    bare.append(bare_seconds(shape, rows, budget))
    if shape.any_basis:
        factors = run.factors(STRATEGY)
        cosine_bases([factors, plain.analyzer.factors_output_dir(STRATEGY)], factors)
    else:
        turn("eigendecomposition", plain.eigendecomposition, lambda: decompose(ours, STRATEGY))
    turn("lambda", plain.fit_lambda, lambda: fit_lambda(ours, STRATEGY, rows))
    bare.append(bare_seconds(shape, rows, budget))
    tables = turn(
        "scores",
        plain.scores,
        lambda: sum_modules(pairwise_scores(ours, STRATEGY, prompts, rows)),
    )
    bare.append(bare_seconds(shape, rows, budget))
    spearman, found.difference = likeness(tables[0].numpy(), tables[1].numpy())
    found.spearman, found.bare = float(spearman.min()), float(np.median(bare))
    return found


def accelerated(shape: Shape, run: RunDir) -> InfluenceAnalyzer:
    """This project on the shape's model, with the data's own labels."""
    run.root.mkdir()
    settings = Settings.model_validate(
        {
            "data": {"source": "demo"},
            "run": {"device": "cpu"},
            "factors": {"fisher": "empirical"},
        }
    )
    return InfluenceAnalyzer(settings, run, EventWriter(run.events, "bench"), shape.model())


def bare_seconds(shape: Shape, rows: TokenDataset, budget: int) -> float:
    """Forward and backward of all examples in our batches, with the attention that ours uses."""
    model, task = shape.model(), LanguageModelingTask([], seed=0)
    rows = rows.subset(by_length(rows.lengths))
    batches = length_batches(rows.lengths, budget)
    begun = time.process_time()
    with sdpa_kernel(SDPBackend.MATH):
        for batch in batches:
            model.zero_grad(set_to_none=True)
            loss: Any = task.compute_train_loss(pad_batch([rows[i] for i in batch]), model)
            loss.backward()
    return time.process_time() - begun


def cosine_bases(folders: Sequence[Path], covariances: Path) -> None:
    """Gives both one orthogonal basis a matrix. EKFAC takes any, and reads no eigenvalues."""
    for side in ("activation", "gradient"):
        matrices = load_file(covariances / f"{side}_covariance.safetensors")
        widths = {name: len(matrix) for name, matrix in matrices.items()}
        vectors = {name: _cosines(width) for name, width in widths.items()}
        values = {name: torch.ones(width) for name, width in widths.items()}
        for folder in folders:
            save_file(vectors, folder / f"{side}_eigenvectors.safetensors")
            save_file(values, folder / f"{side}_eigenvalues.safetensors")


def _cosines(width: int) -> Tensor:
    """The cosine transform (DCT-II), orthonormal [width, width]."""
    steps = torch.arange(width, dtype=torch.float64)
    basis = torch.cos(torch.pi / width * torch.outer(steps + 0.5, steps))
    basis /= basis.norm(dim=0)
    return basis.float()


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    begun = time.process_time()
    yield
    seconds[name] = time.process_time() - begun


def _padded(rows: TokenDataset) -> list[dict[str, Tensor]]:
    items = [rows[index] for index in range(len(rows))]
    return padded_rows([(row["input_ids"].tolist(), row["labels"].tolist()) for row in items])


def read_data(folder: Path, examples: int, prompts: int) -> tuple[TokenDataset, TokenDataset]:
    """Posts cut to 32–256 tokens; and from other posts, 24 tokens and the 8 that follow them."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer/hf")
    draw = random.Random(0)
    posts: list[NDArray[np.int32]] = []
    with (folder / "web/web.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            ids = tokenizer(json.loads(line)["text"][:4000])["input_ids"]
            if len(ids) >= 256:
                posts.append(np.array(ids[: draw.randint(32, 256)], dtype=np.int32))
            if len(posts) == examples + prompts:
                break
    queries = [post[:32] for post in posts[examples:]]
    labels = [np.where(np.arange(32) < 24, IGNORED, query).astype(np.int32) for query in queries]
    return TokenDataset(posts[:examples]), TokenDataset(queries, labels)


def table_of(shape: Shape, rows: TokenDataset, found: Timing) -> Table:
    """Seconds and ratios by pass and end to end."""
    padding = len(rows) * max(rows.lengths) / sum(rows.lengths)
    title = (
        f"{shape.name}: {len(rows)} examples, {sum(rows.lengths):,} tokens ({padding:.2f} × with "
        f"all padding), {shape.prompts} prompts; bare forward + backward {found.bare:.1f} s"
    )
    table = Table("pass", "plain s", "ours s", "plain ÷ ours", "ours ÷ bare", title=title)
    timed = [name for name in FIGURES if not (shape.any_basis and name == FIGURES[1])]
    for name in timed:
        table.add_row(*_row(name, found.plain[name], found.ours[name], found.bare))
    ends = [sum(seconds[name] for name in timed) for seconds in (found.plain, found.ours)]
    table.add_row(*_row("end to end", ends[0], ends[1], 0.0))
    table.caption = f"smallest Spearman {found.spearman:.6f}, difference {found.difference:.1e}"
    return table


def _row(name: str, plain: float, ours: float, bare: float) -> Sequence[str]:
    floor = f"{ours / bare:.2f}" if bare and name != FIGURES[1] else ""
    return name, f"{plain:.1f}", f"{ours:.1f}", f"{plain / ours:.2f}", floor


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer examples: two minutes")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--shape", choices=["trial", "TinyLlama"], help="only this one")
    options = parser.parse_args()
    for shape in (TRIAL, TINYLLAMA):
        if options.shape not in (None, shape.name):
            continue
        examples = QUICK[shape.name] if options.quick else shape.examples
        rows, prompts = read_data(options.data, examples, shape.prompts)
        with tempfile.TemporaryDirectory() as folder:
            found = measure(shape, rows, prompts, Path(folder))
        Console().print(table_of(shape, rows, found))


if __name__ == "__main__":
    main()
