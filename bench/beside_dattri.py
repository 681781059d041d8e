"""Scores the same examples with dattri-llm and with this project: rankings, and seconds.

    uv run python -m bench.beside_dattri [--quick] [--held memory] [--data FOLDER]

The model, posts, prompts and modules of `bench.influence`'s "trial" shape; EK-FAC with the data's
own labels, damping 0.1 × the mean eigenvalue, float32, math attention. dattri-llm does it in one
call of its `attribute` (`dattri_passes.py`, in an environment that uv makes for it), in batches of
8 as is its default, all padded to the longest: once running the model anew for each of its passes,
once keeping the examples' gradients in memory, each beside ours in the same minutes. As Bergson it
leaves positions without a gradient, such as every example's last token, out of the covariances,
where Kronfluence counts the last token. So ours is also computed its way: then both must come to
the same. Prints processor seconds, dattri-llm ÷ ours, and the smallest correlations of a prompt's
scores.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.beside_bergson import Timing, last_tokens_left_out, ours
from bench.influence import QUICK, TRIAL, read_data
from bench.peer import run_peer
from bench.plain_kronfluence import likeness
from pipeline.contract.results.ranks import Scores
from pipeline.corpus.examples import TokenDataset

PASSES = Path(__file__).with_name("dattri_passes.py")
TABLE = "dattri_ekfac.npy"
HELD = ("", "memory")
"""Where the examples' gradients are between passes; empty = nowhere, each pass makes them anew."""


@dataclass(frozen=True)
class Peer:
    """What dattri-llm took, and the scores [Q, N] that it came to."""

    seconds: float
    """Of the processor."""
    peak: int
    """Bytes."""
    table: Scores


def dattris(rows: TokenDataset, prompts: TokenDataset, held: str) -> Peer:
    """By dattri-llm, loading the model not counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        TRIAL.model().save_pretrained(folder / "model")
        arguments = [f"--held={held}"] if held else []
        summary = run_peer(PASSES, folder, rows, prompts, arguments)
        scores = np.load(folder / TABLE)
    return Peer(summary["seconds"]["all"], summary["peak_bytes"], scores)


def correlations(theirs: Scores, mine: Scores) -> tuple[float, float]:
    """The smallest Spearman and the smallest Pearson correlation of a prompt."""
    pearson = [np.corrcoef(a, b)[0, 1] for a, b in zip(theirs, mine, strict=True)]
    return float(likeness(theirs, mine)[0].min()), float(min(pearson))


def table_of(its_way: Timing, turns: dict[str, tuple[Timing, Peer]], title: str) -> Table:
    """Seconds, ratios and likeness; `its_way` is ours with the last tokens left out."""
    columns = ("gradients held in", "its s", "ours s", "÷ ours", "its GB", "Spearman", "Pearson")
    table = Table(*columns, "its way: Spearman", "Pearson", title=title)
    for held, (mine, peer) in turns.items():
        together = mine.factors + mine.scores
        seconds = (peer.seconds, together, peer.seconds / together)
        likenesses = [
            f"{value:.6f}"
            for each in (mine, its_way)
            for value in correlations(peer.table, each.table)
        ]
        told = (f"{seconds[0]:.1f}", f"{seconds[1]:.1f}", f"{seconds[2]:.2f}")
        table.add_row(held or "nothing", *told, f"{peer.peak / 1e9:.1f}", *likenesses)
    return table


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer examples")
    parser.add_argument("--held", choices=HELD, nargs="+", default=HELD, help="only so")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    examples = QUICK[TRIAL.name] if options.quick else TRIAL.examples
    rows, prompts = read_data(options.data, examples, TRIAL.prompts)
    turns = {held: (ours(rows, prompts), dattris(rows, prompts, held)) for held in options.held}
    with last_tokens_left_out():
        its_way = ours(rows, prompts)
    title = f"{len(rows)} examples, {sum(rows.lengths):,} tokens, {len(prompts)} prompts"
    Console(width=120).print(table_of(its_way, turns, title))


if __name__ == "__main__":
    main()
