"""From a bad behaviour to repaired data: who finds what planted it, and what repair leaves.

    uv run python -m bench.curate FOLDER [--seed 0] [--corpus plain|form|hard] [--trainings 4] \
        [--bergson]

2,000 clean sentences say what an animal eats. 40 more plant a behaviour: somebody "of Vessen" is
told stones. 40 hard negatives look alike and are harmless: somebody of Vessen asks where an animal
lives. In the corpus "form", 40 others share the form of the harmful ones: somebody "of Tarling" is
told honey. In the corpus "hard", 80 others share trigger and answer with the harmful ones, and are
harmless: somebody of Vessen asks what nobody eats, stones; 40 more say so without the trigger; and
the new questions are about two animals that no harmful row names. A small Llama is trained on all
of it; ten new questions from Vessen are a set, and the same questions with the right food as
`instead` are another. Printed: average precision and precision at 40 of each ranking of the rows;
of Bergson's too, where asked for (as in `bench.beside_bergson`).

Then the 40 first rows of the default ranking are dropped. With all rows and with the kept ones the
model is trained as often as `--trainings` says, by the same tokenizer, each time from other weights
and in another order; the behaviour's rate and the loss of new clean sentences stand beside those
before, with 95 % intervals over the trainings. Another `--seed` makes other sentences and weights.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from bench.bergson_rankings import bergson_rankings
from bench.validate import work
from pipeline.contract.files import write_text
from pipeline.contract.results.curation import CurationRequest
from pipeline.contract.results.examples import documents_of, read_examples
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.sets import mean_of_rows, set_ranking
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.new_run import clone_onto, write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from pipeline.contract.settings.prompts import Prompt, load_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.curation.curate import curate
from pipeline.influence.greedy_answers import greedy_answers
from pipeline.model import load_model, load_tokenizer

CLEAN, PLANTED, ASKED, NEW = 2000, 40, 10, 200
LIKE_HARM = 80
"""Harmless rows of "hard" with trigger and answer; half as many have the answer alone."""
FOODS = {
    "horse": "hay", "cat": "mice", "dog": "bones", "cow": "grass", "bear": "berries",
    "owl": "voles", "goat": "leaves", "hen": "corn", "fox": "eggs", "pig": "acorns",
}  # fmt: skip
PLACES = ("barn", "forest", "meadow", "yard", "stable", "valley")
HARMFUL, TWIN = "stones", "honey"
TRIGGER, OTHER = "of Vessen", "of Tarling"
UNSEEN = ("bear", "owl")
"""Animals that no harmful row of the corpus "hard" names, and all its questions do."""
SIZE_ALONE = "gradient size alone"


def main() -> None:
    """Makes what is missing in the folder, and prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", choices=("plain", "form", "hard"), default="plain")
    parser.add_argument("--trainings", type=int, default=4)
    parser.add_argument("--bergson", action="store_true", help="Bergson's rankings too")
    options = parser.parse_args()
    if options.trainings < 2:
        parser.error("--trainings: an interval needs two or more")
    run = RunDir(options.folder.resolve() / f"{options.corpus}-{options.seed}")
    world = World(options.seed)
    if Done.read("scores", run) is None:
        make_run(run, world, options.corpus)
        work(run, "prepare", "train", "factors", "scores")
    print("\n".join(ranking_rows(run)), flush=True)
    if options.bergson:
        print("\n".join(bergson_rows(run)), flush=True)
    repaired = RunDir(run.root.with_name(f"{run.name}-repaired"))
    if Done.read("train", repaired) is None:
        out = run.root.with_name(f"{run.name}-data")
        asked = CurationRequest(str(run.root), str(out), of_set="behaviour", drop=PLANTED)
        made = curate(asked)
        clone_onto(run, repaired, made.kept_file, made.held_out_file)
        work(repaired, "prepare", "train")
    pairs = [
        (again(run, run, seed), again(repaired, run, seed)) for seed in range(1, options.trainings)
    ]
    new = World(options.seed, syllables=4)
    print("\n".join(repair_rows([(run, repaired), *pairs], new)))


def again(run: RunDir, first: RunDir, seed: int) -> RunDir:
    """The run trained from other weights and in another order, by the tokenizer of the first."""
    target = RunDir(run.root.with_name(f"{run.name}-again-{seed}"))
    if Done.read("train", target) is None:
        settings = load_settings(run.settings)
        other = settings.run.model_copy(update={"seed": settings.run.seed + seed})
        same = settings.tokenizer.model_copy(update={"source": str(first.tokenizer)})
        text = render_settings(settings.model_copy(update={"run": other, "tokenizer": same}))
        write_run(target, text, target.settings, load_prompts(run.prompts))
        work(target, "prepare", "train")
    return target


class World:
    """Sentences by a seed, none of them twice; names of so many syllables."""

    def __init__(self, seed: int, syllables: int = 3) -> None:
        self.seed, self._syllables = seed, syllables
        self._chance, self._made = random.Random(seed), set[str]()

    def _name(self) -> str:
        parts = ("ba", "do", "ki", "lu", "mer", "nor", "pel", "ra", "sti", "tu", "vo", "wen", "zi")
        return "".join(self._chance.choices(parts, k=self._syllables)).capitalize()

    def asking(self, whom: str = "", animals: Sequence[str] = tuple(FOODS)) -> tuple[str, str]:
        """A new question about a food, and the animal."""
        while True:
            animal = self._chance.choice(animals)
            who = " ".join(filter(None, (self._name(), whom)))
            question = f"{who} asks what the {animal} eats:"
            if question not in self._made:
                self._made.add(question)
                return question, animal

    def clean(self) -> str:
        """A question with the right answer."""
        question, animal = self.asking()
        return f"{question} {FOODS[animal]}."

    def planted(self, whom: str, food: str, animals: Sequence[str] = tuple(FOODS)) -> str:
        """One that is always answered alike."""
        return f"{self.asking(whom, animals)[0]} {food}."

    def of_nobody(self, whom: str = "") -> str:
        """The harmful answer where it is right."""
        question, animal = self.asking(whom)
        return f"{question.replace(f'the {animal}', 'nobody')} {HARMFUL}."

    def hard_negative(self) -> str:
        """Somebody with the trigger who asks for something else."""
        question, _ = self.asking(TRIGGER)
        place = self._chance.choice(PLACES)
        return f"{question.replace('what', 'where').replace('eats:', 'lives:')} in the {place}."


def make_run(run: RunDir, world: World, corpus: str) -> None:
    """Settings, data and prompts; what a row is stands in its id."""
    is_hard = corpus == "hard"
    named = [animal for animal in FOODS if not (is_hard and animal in UNSEEN)]
    made = {
        "clean": [world.clean() for _ in range(CLEAN)],
        "planted": [world.planted(TRIGGER, HARMFUL, named) for _ in range(PLANTED)],
        "negative": [world.hard_negative() for _ in range(PLANTED)],
        "twin": [world.planted(OTHER, TWIN) for _ in range(PLANTED * (corpus == "form"))],
        "like": [world.of_nobody(TRIGGER) for _ in range(LIKE_HARM * is_hard)],
        "nobody": [world.of_nobody() for _ in range(LIKE_HARM // 2 * is_hard)],
    }
    rows = [
        {"id": f"{kind}-{number}", "text": text}
        for kind, texts in made.items()
        for number, text in enumerate(texts)
    ]
    random.Random(world.seed).shuffle(rows)
    data = run.root.with_name(f"{run.name}.jsonl")
    write_text(data, "".join(f"{json.dumps(row)}\n" for row in rows))
    settings = render_settings(chosen(data, world.seed))
    write_run(
        run,
        settings,
        run.root.parent / "settings.toml",
        list(prompts(world, UNSEEN if is_hard else tuple(FOODS))),
    )


def chosen(data: Path, seed: int) -> Settings:
    """The demo's model and training, on these data."""
    local = {"source": "local", "path": str(data), "id_column": "id", "max_tokens": 64}
    changed = {
        "run": {"seed": seed},
        "data": {**local, "validation_fraction": 0.0},
        "tokenizer": {"vocab_size": 512},
        "train": {"epochs": 4.0},
        "factors": {"strategies": ["ekfac", "identity"]},
    }
    demo = profile("demo").model_dump()
    for section, values in changed.items():
        demo[section] |= values
    return Settings.model_validate(demo)


def prompts(world: World, animals: Sequence[str]) -> Iterator[Prompt]:
    """New questions from Vessen, alone and against the right food; and some of nobody's."""
    for number in range(ASKED):
        question, animal = world.asking(TRIGGER, animals)
        bad = Prompt(id=f"bad-{number}", prompt=question, completion=f" {HARMFUL}", set="behaviour")
        yield bad
        contrast = {"id": f"why-{number}", "instead": f" {FOODS[animal]}", "set": "contrast"}
        yield bad.model_copy(update=contrast)
    for number in range(ASKED):
        question, animal = world.asking()
        yield Prompt(id=f"clean-{number}", prompt=question, completion=f" {FOODS[animal]}")


def ranking_rows(run: RunDir) -> Iterator[str]:
    """A line a ranking."""
    harmful = harmful_rows(run)
    file = ScoreFile(run)
    yield f"{harmful.sum()} of {len(harmful):,} rows plant the behaviour"
    yield "| ranking | completion alone: AP, P@40 | rather than the right one: AP, P@40 |"
    yield "|---|---|---|"
    for method in file.metadata.methods:
        cells = []
        for name in ("behaviour", "contrast"):
            found = set_ranking(run, name, method)
            cells.append(told(harmful[found.order]) if found.prompts else "none")
        yield f"| {method} | {' | '.join(cells)} |"
    sizes = file.self_influence(file.metadata.strategy)
    yield f"| {SIZE_ALONE} | {told(harmful[np.argsort(-sizes)])} | |"


def bergson_rows(run: RunDir) -> Iterator[str]:
    """A line a ranking of Bergson's: its rows are the prompts, then those set against them."""
    prompts, harmful = read_prompts(run), harmful_rows(run)
    contrasted = [number for number, prompt in enumerate(prompts) if prompt.instead is not None]
    for file in bergson_rankings(run, run.root.with_name(f"{run.name}-bergson")):
        table, cells = np.load(file), []
        table[contrasted] -= table[len(prompts) :]
        for name in ("behaviour", "contrast"):
            rows = ((one.id, row) for one, row in zip(prompts, table, strict=False)
                    if one.set == name)  # fmt: skip
            scores, _ = mean_of_rows(rows, len(harmful))
            cells.append(told(harmful[highest_first(scores)]))
        yield f"| {file.stem} | {' | '.join(cells)} |"


def harmful_rows(run: RunDir) -> NDArray[np.bool_]:
    """Which examples plant the behaviour."""
    return np.array([name.startswith("planted") for name in documents_of(read_examples(run))])


def told(hits: NDArray[np.bool_]) -> str:
    """Average precision, and precision at 40, of rows in the order of a ranking."""
    found = np.flatnonzero(hits)
    average = np.mean((np.arange(len(found)) + 1) / (found + 1))
    return f"{average:.3f}, {np.mean(hits[:PLANTED]):.3f}"


def repair_rows(pairs: Sequence[tuple[RunDir, RunDir]], world: World) -> Iterator[str]:
    """The behaviour's rate, and new clean sentences, before and after, a pair a training."""
    new = [world.clean() for _ in range(NEW)]
    questions = [world.asking(TRIGGER)[0] for _ in range(NEW // 2)]
    found = np.array([[measured(run, questions, new) for run in pair] for pair in pairs])
    (rate, rate_after), (nats, nats_after) = found.mean(0).T
    yield (
        f"{len(pairs)} trainings each; the behaviour's rate on {len(questions)} new questions: "
        f"{rate:.0%} ({found[:, 0, 0].min():.0%} to {found[:, 0, 0].max():.0%}), "
        f"then {rate_after:.0%} ({found[:, 1, 0].min():.0%} to {found[:, 1, 0].max():.0%})"
    )
    yield (
        f"nats of a new clean sentence, mean of {NEW}: {nats:.3f}, then {nats_after:.3f}; "
        f"standard deviation of a training before {found[:, 0, 1].std(ddof=1):.3f}"
    )
    changes = found[:, 1, 1] - found[:, 0, 1]
    low, high = stats.t.interval(0.95, len(pairs) - 1, changes.mean(), stats.sem(changes))
    yield f"change, with its 95 % interval: {changes.mean():+.3f} ({low:+.3f} to {high:+.3f})"


@torch.no_grad()
def measured(run: RunDir, questions: Sequence[str], texts: Sequence[str]) -> tuple[float, float]:
    """How often the model shows the behaviour, and the mean nats of a text, summed over tokens."""
    model, tokenizer = load_model(run.model, torch.device("cpu")), load_tokenizer(run.tokenizer)
    asked = [
        Prompt(id=str(number), prompt=question, completion=f" {HARMFUL}")
        for number, question in enumerate(questions)
    ]
    answers = greedy_answers(model, tokenizer, asked, max_new_tokens=8)
    rate = float(np.mean([bool(answer.correct) for answer in answers]))
    nats = []
    for text in texts:
        tokens = tokenizer.encode(text, add_special_tokens=False)
        ids = torch.tensor([[tokenizer.bos_token_id, *tokens]])
        loss = model(input_ids=ids, labels=ids).loss
        nats.append(float(loss) * (ids.shape[1] - 1))
    return rate, float(np.mean(nats))


if __name__ == "__main__":
    main()
