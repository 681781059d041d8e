"""What the index of `headwater ask` costs and finds, and how fast it is scanned.

    uv run python -m bench.ask RUN [--features 1024 4096 8192 16384] [--rows 10000 100000 1000000]
        [--questions 10]

RUN is the folder of a scored run. First, for each number of features: bytes an example, seconds to
index, and the share of the exact method's top 10 and top 100 (the run's own scores, each of its
prompts) that lies among the index's best 100 and best 1,000. Then scans of made-up features, as
many as memory holds, beside the floor: their bytes at the machine's own rate, measured by a copy
in the same minutes. Last, seconds of whole questions put to a worker (the run's prompts, traced for
the model's own answers), beside a bare forward and backward of the same tokens; RUN is indexed.
With --starts, what a worker imports beside `import torch` alone, in processor time, by turns; and
seconds until a worker is up.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.ask.chunks import Chunks
from pipeline.ask.indexing import run_projection
from pipeline.ask.store import FeatureStore
from pipeline.batches import token_budget_batches
from pipeline.contract.children import child_environment, python_command
from pipeline.contract.results.ranks import Scores, highest_first
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.scores import normalized_name
from pipeline.contract.run.asking import (
    WorkerAddress,
    ask,
    start_worker,
    stop_worker,
    worker,
)
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.replies import AnswerPart, ExampleList, Query
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import Prompt, load_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.greedy_answers import token_dataset, traced_prompts
from pipeline.influence.task import LanguageModelingTask
from pipeline.model import load_tokenizer, load_traced

CANDIDATES = (100, 1000)
TOPS = (10, 100)
_WORKERS_IMPORTS = (
    "from pipeline.libraries import restrain_libraries, do_without; restrain_libraries(); "
    "do_without('scipy'); import pipeline.ask.worker, pipeline.ask.asker"
)


def recall_table(run: RunDir, sizes: Sequence[int]) -> Table:
    """A row a number of features."""
    settings = load_settings(run.settings)
    strategy = settings.factors.strategies[0]
    scores = ScoreFile(run)
    exact = scores.method(normalized_name(strategy))
    root: Scores = np.sqrt(scores.self_influence(strategy))
    examples = TokenDataset.of_examples(run)
    table = Table(
        "features", "bytes an example", "s to index", "of the floor",
        *(f"top {top} in {c:,}" for c in CANDIDATES for top in TOPS),
        title=f"{len(exact)} prompts, {len(examples):,} examples of {run.name}",
    )  # fmt: skip
    for size in sizes:
        index = settings.index.model_copy(update={"features": size})
        seconds, floor, found = _indexed(
            settings.model_copy(update={"index": index}), run, examples
        )
        shares = [
            f"{_recall(found / root, exact, candidates, top):.3f}"
            for candidates in CANDIDATES
            for top in TOPS
        ]
        table.add_row(
            f"{size:,}", f"{2 * size:,}", f"{seconds:.1f}", f"{seconds / floor:.2f}", *shares
        )
    return table


def _indexed(
    settings: Settings, run: RunDir, examples: TokenDataset
) -> tuple[float, float, NDArray[np.float32]]:
    """Seconds to index, seconds of a bare forward and backward, and scores [Q, N] of the index."""
    model = load_traced(settings, run.model)
    traced = traced_prompts(run, settings.prompts.use_generated, load_tokenizer(run.tokenizer))
    queries = token_dataset(traced)
    floor = _clock(lambda: _bare(settings, model, examples))
    projection = run_projection(settings, run, model)
    with tempfile.TemporaryDirectory() as folder:
        events = EventWriter(Path(folder) / "events.jsonl", "bench")
        store = FeatureStore(Path(folder), "bench", projection.size)
        seconds = _clock(
            lambda: Chunks("features", store, projection, examples).fill(None, settings, events)
        )
        rows = []
        for number in range(len(queries)):
            features = projection.features(pad_batch([queries[number]]))[0][0]
            cosines, lengths = store.scan(features)
            rows.append(cosines * lengths)
    return seconds, floor, np.array(rows)


def _bare(settings: Settings, model: torch.nn.Module, examples: TokenDataset) -> None:
    """Forward and backward over the same batches, the weights' gradients left out too."""
    task = LanguageModelingTask([], 0)
    model.requires_grad_(False)
    hook = model.get_input_embeddings().register_forward_hook(  # type: ignore[operator]
        lambda _m, _i, out: out.requires_grad_()
    )
    for batch in token_budget_batches(examples.lengths, settings.train.batch_tokens):
        torch.autograd.backward(
            task.compute_measurement(pad_batch([examples[index] for index in batch]), model)
        )
    hook.remove()


def _recall(
    found: NDArray[np.float32], exact: NDArray[np.float32], candidates: int, top: int
) -> float:
    shares = [
        np.isin(highest_first(right)[:top], highest_first(mine)[:candidates]).mean()
        for mine, right in zip(found, exact, strict=True)
    ]
    return float(np.mean(shares))


def scan_table(sizes: Sequence[int], features: int) -> Table:
    """A row a number of examples; fewer features where they would not fit into memory."""
    rate = _copy_rate()
    table = Table(
        "examples", "features", "GB", "ms", "floor, ms", "÷ floor",
        title=f"scan of made-up features; copies run at {rate / 1e9:.1f} GB/s",
    )  # fmt: skip
    for rows in sizes:
        width = features
        while 2 * rows * width > _memory() / 6:
            width //= 2
        with tempfile.TemporaryDirectory() as folder:
            store = FeatureStore(Path(folder), "bench", width)
            for start in range(0, rows, 10_000):
                part = torch.randn(min(10_000, rows - start), width)
                store.append(part, part.square().sum(dim=1))
            query = torch.randn(width)
            seconds = min(_clock(lambda: store.scan(query)) for _ in range(5))  # noqa: B023
            floor = store.bytes / rate
            table.add_row(
                f"{rows:,}", f"{width:,}", f"{store.bytes / 1e9:.2f}", f"{1e3 * seconds:.1f}",
                f"{1e3 * floor:.1f}", f"{seconds / floor:.2f}",
            )  # fmt: skip
    return table


def question_table(run: RunDir, count: int) -> Table:
    """A row for the first question, which warms the worker up, and one for the others' medians."""
    settings = load_settings(run.settings)
    prompts = load_prompts(run.prepared_prompts, settings.prompts.use_generated)[: count + 1]
    begun = time.perf_counter()
    with worker(run) as address:
        start = time.perf_counter() - begun
        asked = [_moments(address, prompt.prompt) for prompt in prompts]
    answered = [
        Prompt(id=prompt.id, prompt=prompt.prompt.rstrip(), completion=answer)
        for prompt, (answer, _) in zip(prompts, asked, strict=True)
    ]
    seconds = np.array([moments for _, moments in asked])
    bare = _bare_questions(settings, run, answered)
    table = Table(
        "question", "first piece, s", "first list, s", "exact list, s", "bare pass, s",
        title=f"questions to a worker of {run.name} that was up after {start:.1f} s",
    )  # fmt: skip
    for name, rows in (
        ("the first", slice(0, 1)),
        (f"median of {len(prompts) - 1}", slice(1, None)),
    ):
        medians = [*np.median(seconds[rows], axis=0), np.median(bare[rows])]
        table.add_row(name, *(f"{value:.3f}" for value in medians))
    return table


def start_table(run: RunDir, count: int) -> Table:
    """A row a start: what PyTorch alone takes, and what a worker imports, by turns; then how long
    a worker takes to come up, which on a busy machine says little."""
    table = Table(
        "import torch, CPU s", "worker's imports, CPU s", "÷ import torch", "worker up, s",
        title=f"starts of a worker of {run.name}",
    )  # fmt: skip
    ratios = []
    for _ in range(count):
        torch_s, own_s = _cpu_seconds("import torch"), _cpu_seconds(_WORKERS_IMPORTS)
        stop_worker(run)
        up_s = _clock(lambda: start_worker(run))
        stop_worker(run)
        ratios.append(own_s / torch_s)
        table.add_row(f"{torch_s:.2f}", f"{own_s:.2f}", f"{ratios[-1]:.2f}", f"{up_s:.1f}")
    table.add_row("", "median", f"{np.median(ratios):.2f}", "")
    return table


def _cpu_seconds(code: str) -> float:
    """Processor time that a Python process takes for some code."""
    # told by itself: what this process's children took may hold a worker that was waited for late
    timed = f"{code}\nimport time; print(time.process_time())"
    done = subprocess.run(
        python_command("-c", timed), env=child_environment(), check=True, stdout=subprocess.PIPE
    )
    return float(done.stdout.split()[-1])


def _moments(address: WorkerAddress, prompt: str) -> tuple[str, tuple[float, float, float]]:
    """The model's answer; seconds to its first piece, to the index's list and to the exact one."""
    begun = time.perf_counter()
    answer = ""
    seen: dict[bool | None, float] = {}
    for reply in ask(address, Query(prompt)):
        kind = reply.exact if isinstance(reply, ExampleList) else None
        seen.setdefault(kind, time.perf_counter() - begun)
        answer += reply.text if isinstance(reply, AnswerPart) else ""
    return answer, (seen[None], seen[False], seen[True])


def _bare_questions(
    settings: Settings, run: RunDir, answered: Sequence[Prompt]
) -> NDArray[np.float64]:
    """Seconds of a forward and backward of each, the best of three."""
    model = load_traced(settings, run.model)
    queries = TokenDataset.of_prompts(answered, load_tokenizer(run.tokenizer))
    singles = [queries.subset([number]) for number in range(len(queries))]
    return np.array(
        [min(_clock(lambda: _bare(settings, model, one)) for _ in range(3)) for one in singles]  # noqa: B023
    )


def _copy_rate() -> float:
    """Bytes a second, read and written ones counted; the best of five."""
    source = np.ones(2**28, dtype=np.uint8)
    target = np.empty_like(source)
    return 2 * source.nbytes / min(_clock(lambda: np.copyto(target, source)) for _ in range(5))


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _clock(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--features", type=int, nargs="*", default=[1024, 4096, 8192, 16384])
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--starts", type=int, default=0, help="starts of a worker; 0 = none")
    parser.add_argument("--questions", type=int, default=10, help="after the first; 0 = none")
    options = parser.parse_args()
    console = Console()
    if options.features:
        console.print(recall_table(RunDir(options.run), options.features))
    if options.rows:
        console.print(scan_table(options.rows, 8192))
    if options.starts:
        console.print(start_table(RunDir(options.run), options.starts))
    if options.questions:
        console.print(question_table(RunDir(options.run), options.questions))


if __name__ == "__main__":
    main()
