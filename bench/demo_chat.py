"""The demo's conversations over seeds: an adapter beside the full fine-tune on the same base.

    uv run python -m bench.demo_chat FOLDER [--first 100] [--seeds 3]

Each seed makes other facts, a base, and two runs that go on from it: `headwater demo --chat`'s
adapter, and the same settings without [lora], which train all weights at their own learning rate.
Only the default ranking and BM25 are computed. The runs lie in FOLDER and are kept: a second start
goes on with those that are missing. Settings were chosen while looking at seeds 0 and 1 only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.demo_seeds import with_interval
from bench.validate import work
from pipeline.contract.results.scores import BM25, ScoresSummary, load_scores_summary
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.demo import chat_base_settings, chat_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import LoraSettings, Settings

FULL_LEARNING_RATE = 3e-4
"""Of the fine-tune of all weights; an adapter takes a higher one."""


def finished(run: RunDir, settings: Settings, *stages: str) -> RunDir:
    """The run with its stages, which are run where the last of them is missing."""
    if Done.read(stages[-1], run) is None:
        write_run(run, render_settings(settings), origin=run.settings)
        work(run, *stages)
    return run


def all_weights(settings: Settings) -> Settings:
    """The settings without an adapter."""
    train = settings.train.model_copy(update={"learning_rate": FULL_LEARNING_RATE})
    return settings.model_copy(update={"lora": LoraSettings(), "train": train})


def judged_by_default(settings: Settings) -> Settings:
    """The settings without the rankings that the table does not show."""
    factors = settings.factors.model_copy(update={"strategies": ["ekfac"]})
    scores = settings.scores.model_copy(update={"second_opinions": [BM25], "token_top": 0})
    return settings.model_copy(update={"factors": factors, "scores": scores})


def adapter_and_full(folder: Path, seed: int) -> tuple[ScoresSummary, ScoresSummary]:
    """The scores' summaries of the two runs on a seed's base."""
    base = finished(RunDir(folder / f"base-{seed}"), chat_base_settings(seed), "prepare", "train")
    adapter = judged_by_default(chat_settings(seed, base.model))
    found = (
        finished(
            RunDir(folder / f"{name}-{seed}"), settings, "prepare", "train", "factors", "scores"
        )
        for name, settings in (("adapter", adapter), ("full", all_weights(adapter)))
    )
    first, second = (load_scores_summary(run).value for run in found)
    return first, second


def row(seed: int, name: str, summary: ScoresSummary) -> str:
    """A line of the table."""
    ours, bm25 = (summary.evaluation[method] for method in (summary.default_method, BM25))
    known = f"{summary.known.correct} of {summary.known.prompts}"
    cells = f"{ours.recall:.3f} | {ours.mrr:.3f} | {ours.top1:.3f} | {bm25.recall:.3f}"
    return f"| {seed} | {name} | {known} | {cells} |"


def main() -> None:
    """Makes the runs that are missing, then prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    found = {seed: adapter_and_full(options.folder, seed) for seed in seeds}
    print("| seed | trained | facts known | recall@5 | MRR | top-1 | BM25's recall@5 |")
    print("|---|---|---|---|---|---|---|")
    for seed, (adapter, full) in found.items():
        print(row(seed, "adapter", adapter), row(seed, "all weights", full), sep="\n")
    recalls = [
        [one.evaluation[one.default_method].recall for one in pair] for pair in found.values()
    ]
    differences = [adapter - full for adapter, full in recalls]
    print(f"\nrecall@5, adapter − all weights: {with_interval(differences)}")


if __name__ == "__main__":
    main()
