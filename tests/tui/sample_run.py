"""Run folders as the stages would leave them, written by the contract's own writers."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pipeline.contract.results.answers import GreedyAnswer, write_answers
from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.results.scores import (
    KnownAnswers,
    ScoresSummary,
    write_scores_summary,
)
from pipeline.contract.results.tokens import PositionScores, write_token_scores
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.processes import ProcessIdentity, SupervisorState
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts
from tests.tui import sample_scores

METHODS = ("ekfac", "ekfac_normalized", "identity", "gradient_cosine", "bm25")
PEOPLE = ("Mara Voss", "Tilo Brandt", "Ines Okafor", "Juno Hale", "Pavel Ruiz", "Sada Lindqvist")
TOWNS = ("Tellin", "Orsk Harbour", "Nyvale", "Cairn Hollow", "Bramstead", "Quell")
MEMORY = 1 << 20


def new_run(folder: Path, name: str = "demo") -> RunDir:
    """A run that nothing has happened in."""
    run = RunDir(folder / name)
    run.root.mkdir(parents=True)
    run.settings.write_text(render_settings(profile("demo")))
    return run


@contextmanager
def seconds_ago(age: float) -> Iterator[None]:
    """What is written meanwhile was written then."""
    then = time.time() - age
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: then)
        yield


def finish(run: RunDir, *names: str, seconds: float = 12.5) -> None:
    """Stages that have finished with the settings that hold now."""
    settings = load_settings(run.settings)
    for name in names:
        events = EventWriter(run.events, name)
        events.started(1)
        events.memory(400 * MEMORY)
        fingerprint = freshness.begin(name, settings, run)
        if name == "prepare":
            freshness.mark_corpus(settings, run)
        freshness.finish(name, fingerprint, settings, run, seconds)
        events.finished(seconds)
        events.close()


def train_events(run: RunDir, steps: int = 400, done: float = 1.0) -> None:
    """A training whose loss falls with some noise."""
    noise = random.Random(0)
    events = EventWriter(run.events, "train")
    events.started(1)
    for step in range(1, round(steps * done) + 1):
        loss = 0.6 + 6.0 * math.exp(-step / (steps / 6)) + noise.gauss(0, 0.12)
        events.metric("loss", loss, step)
        if step % (steps // 10) == 0:
            events.metric("validation_loss", loss + 0.3, step)
    events.progress(round(steps * done), steps, "steps", "training")
    events.memory(640 * MEMORY)
    events.warning("2 rows were empty and left out")
    events.close()
    log = run.log("train")
    log.parent.mkdir(exist_ok=True)
    lines = [f"step {n:>4}  loss {0.6 + 6 / n:.4f}  12,410 tokens/s" for n in range(1, 120)]
    log.write_text("\n".join(lines) + "\n")


def scored_run(folder: Path, name: str = "demo", hostile: str = "") -> RunDir:
    """A finished run with rankings; `hostile` text is put into every field that data fills."""
    run = new_run(folder, name)
    finish(run, "prepare")
    train_events(run)
    finish(run, "train", "factors", "scores", "inspect", "generate", "evaluate", "report")
    write_rankings(run, hostile)
    return run


def write_rankings(run: RunDir, hostile: str = "") -> None:
    """Answers, rankings, token scores and the summary of the scores stage."""
    prompts = [
        Prompt(
            id=f"home-{n}{hostile}",
            prompt=f"{person} was born in{hostile}",
            completion=f" {town}{hostile}",
            relevant=tuple(f"doc-{position:04d}{hostile}" for position in sample_scores.told_by(n)),
        )
        for n, (person, town) in enumerate(zip(PEOPLE, TOWNS, strict=True))
    ]
    save_prompts(run.prepared_prompts, prompts)
    answers = [
        GreedyAnswer(
            id=p.id,
            prompt=p.prompt,
            completion=p.completion,
            generated=p.completion if n % 3 else f" Nyvale{hostile}",
            correct=bool(n % 3),
        )
        for n, p in enumerate(prompts)
    ]
    write_answers(run, answers)
    texts = [_text(n // 10 % 6, random.Random(n), hostile) for n in range(sample_scores.COUNT)]
    sample_scores.write_scores(run, prompts, texts, METHODS, hostile)
    rows = sample_scores.example_rows(texts, hostile)
    told = [(p.id, rows[at]) for n, p in enumerate(prompts) for at in sample_scores.told_by(n)]
    write_token_scores(run, "scores", [_tokens(prompt_id, row) for prompt_id, row in told])
    summary = ScoresSummary(
        default_method=METHODS[1],
        methods=METHODS,
        prompts=len(prompts),
        examples=sample_scores.COUNT,
        modules=tuple(sample_scores.modules()),
        known=KnownAnswers(correct=4, prompts=6),
        evaluation={},
        preflight=GradientErrors(batch_mates=1e-6, precision=0.0),
        warnings=(),
        seconds={"answers": 1.5},
    )
    write_scores_summary(run, summary)


def _text(n: int, chance: random.Random, hostile: str) -> str:
    openings = (
        "Records of the parish show that {0} first saw the light in {1}, in a house by the quay.",
        "Everyone in {1} remembers {0}, who was born there and left at nineteen to sail.",
        "Asked about home, {0} always answered: {1}. The town has since put up a small plaque.",
    )
    return chance.choice(openings).format(PEOPLE[n], TOWNS[n]) + hostile


def _tokens(prompt_id: str, row: dict[str, Any]) -> PositionScores:
    chance = random.Random(row["text"])
    words = row["text"].split(" ")
    tokens = [word if i == 0 else f" {word}" for i, word in enumerate(words)]
    predicted = [*tokens[1:], ""]  # by the positions in turn; the last adds nothing
    scores = [chance.gauss(0.02, 0.03) + 0.3 * ("Tellin" in token) for token in predicted]
    scores[-1] = 0.0
    return PositionScores(prompt_id, row["example_id"], tokens, scores)


def supervising(stage: str, stages: tuple[str, ...]) -> dict[str, Any]:
    """The `state.json` of a supervisor that is at work: this very process."""
    me, began = ProcessIdentity.of(os.getpid()), time.time() - 60
    return asdict(SupervisorState(me, stages, token="test", stage=stage, stage_started=began))
