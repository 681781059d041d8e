"""The demo's rankings over many seeds: means with 95 % intervals, and BM25 beside each seed.

    uv run python -m bench.demo_seeds FOLDER [--first 100] [--seeds 10]

Each seed makes other facts, documents and weights, and is a run of its own in FOLDER, kept: a
second start goes on with those that are missing. The demo's training was chosen while looking at
seeds 0 to 3 only. Intervals are of Student's t over the seeds.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from scipy import stats

from bench.validate import work
from pipeline.contract.results.scores import BM25, ScoresSummary, load_scores_summary
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.demo import demo_settings
from pipeline.contract.settings.profiles import render_settings


def scored(run: RunDir, seed: int) -> ScoresSummary:
    """The scores' summary of the demo with a seed, whose run is made where it is missing."""
    if Done.read("scores", run) is None:
        write_run(run, render_settings(demo_settings(seed)), origin=run.settings)
        work(run, "prepare", "train", "factors", "scores")
    return load_scores_summary(run).value


def with_interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval: ".77 (.74–.80)"."""
    mean, error = statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return f"{mean:.2f} ({mean - half:.2f}–{mean + half:.2f})"


def rows(summaries: Sequence[ScoresSummary]) -> Iterator[str]:
    """A line a method: recall, MRR and top-1 over the seeds."""
    first = summaries[0]
    k = first.evaluation[first.default_method].k
    yield f"| ranking | recall@{k} | MRR | top-1 |"
    yield "|---|---|---|---|"
    for method in first.evaluation:
        measured = [summary.evaluation[method] for summary in summaries]
        cells = (
            with_interval([getattr(one, name) for one in measured])
            for name in ("recall", "mrr", "top1")
        )
        default = " ← default" if method == first.default_method else ""
        yield f"| {method}{default} | {' | '.join(cells)} |"


def against_bm25(summaries: Sequence[ScoresSummary]) -> Iterator[str]:
    """The default ranking minus BM25, seed by seed."""
    for name in ("recall", "mrr", "top1"):
        differences = [
            getattr(one.evaluation[one.default_method], name) - getattr(one.evaluation[BM25], name)
            for one in summaries
        ]
        higher = sum(difference > 0 for difference in differences)
        yield (
            f"default − BM25, {name}: {with_interval(differences)}; "
            f"higher in {higher} of {len(differences)} seeds"
        )


def main() -> None:
    """Makes the runs that are missing, then prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    runs = {seed: RunDir(options.folder / f"seed-{seed}") for seed in seeds}
    summaries = [scored(run, seed) for seed, run in runs.items()]
    known = [one.known.correct / one.known.prompts for one in summaries]
    print(
        f"seeds {seeds[0]}–{seeds[-1]}: the model completes {with_interval(known)} of the facts\n"
    )
    print("\n".join(rows(summaries)), "\n")
    print("\n".join(against_bm25(summaries)))


if __name__ == "__main__":
    main()
