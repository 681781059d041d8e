"""How far verdicts can be relied on: on planted facts, are signs right and do intervals cover?

    uv run python -m bench.prove FOLDER [--groups 2] [--of 10] [--seeds 3] [--fresh 3] [--singles 1]
        [--full]

The first 5 examples of `--of` prompts at a time are left out of one training, so that one serves
them all; beside it another without the examples matched to these, and one with everything. The
first `--seeds` seeds give what `headwater prove` would say of each prompt, `--fresh` others what is
then measured. Printed: for how many prompts the completion's ln p falls over the fresh seeds; how
many of the stated 95 % intervals, of the drop and of its difference to the matched ones, hold the
mean over the fresh seeds; and for `--singles` prompts the drop where theirs alone are left out,
beside the drop where the whole group's are: what leaving out others' examples adds.

FOLDER holds the run, which is kept, as its trainings are: a second start trains what is missing.
The facts are the demo's; without `--full` its training is shortened to 4 epochs in batches of 512
tokens at twice the learning rate, a fifth of its steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.validate import work
from pipeline.contract.results.claims import Claims
from pipeline.contract.results.matching import Positions
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.demo import demo_settings
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings
from pipeline.evaluation.statistics import t_mean
from pipeline.influence.greedy_answers import traced_prompts
from pipeline.libraries import limit_threads
from pipeline.model import load_tokenizer
from pipeline.validation.retraining import Completions, Retrainer, Training

TOP = 5
SHORT = {"epochs": 4.0, "learning_rate": 2e-3, "batch_tokens": 512}
Values = NDArray[np.float64]


def scored(run: RunDir, full: bool) -> Settings:
    """The settings of the run, which is made and scored where it is missing."""
    if Done.read("scores", run) is None:
        values = demo_settings(0).model_dump(mode="json")
        values["factors"] |= {"strategies": ["ekfac"]}
        if not full:
            values["train"] |= SHORT
        write_run(run, render_settings(Settings.model_validate(values)), origin=run.settings)
        work(run, "prepare", "train", "factors", "scores")
    return load_settings(run.settings)


class Trainings:
    """ln p of all prompts' completions after trainings without some examples."""

    def __init__(self, settings: Settings, run: RunDir) -> None:
        tokenizer = load_tokenizer(run.tokenizer)
        traced = traced_prompts(run, settings.prompts.use_generated, tokenizer)
        completions = Completions(traced, settings.train.batch_tokens)
        self._retrainer = Retrainer(settings, run, completions)
        self._everything = np.arange(len(Claims(run).corpus))

    def without(self, left_out: Sequence[int], seeds: Sequence[int]) -> Values:
        """[seeds, prompts]"""
        kept = np.setdiff1d(self._everything, np.array(left_out, dtype=np.intp))
        found = []
        for seed in seeds:
            found.append(self._retrainer.outcome(Training(kept, seed), lambda *_: None))
            print(f"without {len(left_out)} examples, seed {seed}", flush=True)
        return np.array(found)


def marks(claims: Claims, prompts: Sequence[str]) -> tuple[dict[str, Positions], Positions]:
    """Each prompt's first examples, and those that are matched to all of them."""
    own = {prompt: claims.first(prompt, TOP) for prompt in prompts}
    return own, claims.beside(np.unique(np.concatenate(list(own.values()))))


def report(drops: Values, beside: Values, seeds: int) -> Iterator[str]:
    """Drops [seeds + fresh, prompts] without the marked and without the matched examples."""
    fresh = drops[seeds:].mean(axis=0)
    yield f"sign: ln p falls, as fresh seeds measure, for {int((fresh > 0).sum())} of {fresh.size}"
    for name, values in (("drop", drops), ("difference to matched", drops - beside)):
        stated = [t_mean(column.tolist()) for column in values[:seeds].T]
        measured = values[seeds:].mean(axis=0)
        held = [
            one.low <= value <= one.high
            for one, value in zip(stated, measured.tolist(), strict=True)
            if one.low is not None and one.high is not None
        ]
        proven = sum(one.low is not None and one.low > 0 for one in stated)
        width = np.median([(one.high or 0) - (one.low or 0) for one in stated])
        yield (
            f"{name}: {sum(held)} of {len(held)} intervals hold what fresh seeds measure; mean "
            f"{values[:seeds].mean():.2f} nats, median width {width:.2f}, above 0: {proven}"
        )


def main() -> None:
    """Trains what is missing and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name, default in (("groups", 2), ("of", 10), ("seeds", 3), ("fresh", 3), ("singles", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--full", action="store_true")
    chosen = parser.parse_args()
    run = RunDir(chosen.folder / ("prove-full" if chosen.full else "prove-short"))
    settings = scored(run, chosen.full)
    limit_threads(settings)
    claims, trainings = Claims(run), Trainings(settings, run)
    ids = [prompt.id for prompt in read_prompts(run)]
    seeds = range(chosen.seeds + chosen.fresh)
    before = trainings.without([], seeds)
    drops, beside = [], []
    for group in range(chosen.groups):
        prompts = ids[group :: max(1, len(ids) // chosen.of)][: chosen.of]  # far apart
        rows = [ids.index(prompt) for prompt in prompts]
        own, matched = marks(claims, prompts)
        together = np.unique(np.concatenate(list(own.values()))).tolist()
        drop = (before - trainings.without(together, seeds))[:, rows]
        drops.append(drop)
        beside.append((before - trainings.without(matched.tolist(), seeds))[:, rows])
        for line in report(np.hstack(drops), np.hstack(beside), chosen.seeds):
            print(line, flush=True)
        for place, prompt in enumerate(prompts[: chosen.singles]):
            alone = before - trainings.without(own[prompt].tolist(), seeds)
            single = t_mean(alone[:, rows[place]].tolist())
            print(
                f"{prompt}: alone {single.value:.2f}, with the others' "
                f"{drop[:, place].mean():.2f} nats"
            )


if __name__ == "__main__":
    main()
