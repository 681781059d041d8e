"""Runs of any size for `load.py`, written by the project's own writers.

Shape legend: Q prompts, N training examples.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.rankings import examples
from pipeline.contract.results.answers import GreedyAnswer, write_answers
from pipeline.contract.results.benchmark_questions import QuestionRow, write_questions
from pipeline.contract.results.benchmarks import Benchmarks, BenchmarkScore, write_benchmarks
from pipeline.contract.results.common import write_table
from pipeline.contract.results.evaluation import (
    TITLES,
    AnswerMetric,
    AnswerOrigins,
    AnswerPair,
    CopiedWords,
    Decoding,
    Evaluation,
    ModelAnswer,
    write_evaluation,
)
from pipeline.contract.results.examples import lengths_of
from pipeline.contract.results.generation import MODELS, Perplexity
from pipeline.contract.results.lookup_writer import write_lookup
from pipeline.contract.results.score_file import ScoreMetadata, write_scores
from pipeline.contract.results.scores import KnownAnswers, ScoresSummary, write_scores_summary
from pipeline.contract.results.tokens import PositionScores, write_token_scores
from pipeline.contract.results.verdict import Difference, Estimate, verdict
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts
from pipeline.influence.ranking_table import save_rankings

if TYPE_CHECKING:
    import pyarrow as pa

METHODS = ("ekfac", "ekfac_normalized", "bm25")
LAYERS = (0, 1)
TOP, TOKEN_TOP = 10, 5
FILES = 50
"""Files that are no runs, for each run in a folder."""
A_STEP = ("loss", "learning_rate", "gradient_norm", "tokens_per_second")
FOLDER = "deepeval_results/run_2026-01-02_03-04-05"


def finished_run(root: Path, events: int = 300) -> RunDir:
    """A run whose stages have finished, and whose training has left so many events."""
    run = RunDir(root)
    run.root.mkdir(parents=True)
    run.settings.write_text(render_settings(profile("demo")), encoding="utf-8")
    settings = load_settings(run.settings)
    for stage in ("prepare", "train", "factors", "scores", "generate", "evaluate", "benchmark"):
        writer = EventWriter(run.events, stage)
        writer.started(1)
        fingerprint = freshness.begin(stage, settings, run)
        if stage == "prepare":
            freshness.mark_corpus(settings, run)
        if stage == "train":
            _train(writer, events)
        freshness.finish(stage, fingerprint, settings, run, 1.0)
        writer.finished(1.0)
        writer.close()
    return run


def _train(writer: EventWriter, events: int) -> None:
    """A step of a training is several events: its readings, the progress, the memory."""
    steps = max(1, events // (len(A_STEP) + 1))
    for step in range(1, steps + 1):
        for name in A_STEP:
            writer.metric(name, 5.0 / (1 + step / 100) + math.sin(step), step)
        writer.progress(step, steps, "steps", "training")  # thinned
        writer.memory(1 << 30)


def runs_folder(folder: Path, count: int) -> None:
    """So many finished runs, and many more files beside them."""
    first = finished_run(folder / "run-00000")
    for number in range(1, count):
        shutil.copytree(first.root, folder / f"run-{number:05d}")
    for number in range(FILES * count):
        (folder / f"note-{number:06d}.txt").touch()


def scored_run(root: Path, prompt_count: int, example_count: int) -> RunDir:
    """A run with the results of every stage that grows with its prompts or examples."""
    run = finished_run(root)
    table = examples(example_count)
    _write_examples(run, table)
    prompts = [
        Prompt(
            id=f"prompt-{n:05d}",
            prompt=f"Question {n}:",
            completion=f" answer {n}",
            relevant=tuple(f"doc-{(n * 7 + k) % example_count:07d}" for k in range(5)),
        )
        for n in range(prompt_count)
    ]
    save_prompts(run.prepared_prompts, prompts)
    write_lookup(run, prompts, table)
    _write_scores(run, prompts, table)
    _write_answers(run, prompts)
    _write_benchmark(run, prompt_count)
    return run


def _write_examples(run: RunDir, table: pa.Table) -> None:
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(lengths_of(table) // 8)]).astype(np.int32)
    tokens = pa.ListArray.from_arrays(ends, np.zeros(ends[-1], np.int32))
    write_table(run.examples, table.append_column("tokens", tokens))


def _write_scores(run: RunDir, prompts: list[Prompt], table: pa.Table) -> None:
    chance, size = np.random.default_rng(0), (len(prompts), table.num_rows)
    scores = {name: chance.standard_normal(size, np.float32) for name in METHODS}
    layers = {layer: chance.standard_normal(size, np.float32) for layer in LAYERS}
    metadata = ScoreMetadata(
        prompts=tuple(prompt.id for prompt in prompts),
        methods=METHODS,
        default_method=METHODS[1],
        layers=LAYERS,
        strategy="ekfac",
        damping="heuristic",
        fisher="sampled",
        precision={},
        modules=(),
        examples=table.num_rows,
    )
    write_scores(run, metadata, scores, layers, {"ekfac": scores["ekfac"][0] ** 2})
    save_rankings(run, "scores", prompts, table, scores, min(TOP, table.num_rows))
    told = [(p.id, f"doc-{n % table.num_rows:07d}") for p in prompts for n in range(TOKEN_TOP)]
    rows = (PositionScores(*pair, ["word "] * 25, [0.1] * 25) for pair in told)
    write_token_scores(run, "scores", rows)
    known = KnownAnswers(correct=0, prompts=0)
    counts = (len(prompts), table.num_rows)
    write_scores_summary(
        run, ScoresSummary(METHODS[1], METHODS, *counts, (), known, {}, None, (), {})
    )


def _write_answers(run: RunDir, prompts: list[Prompt]) -> None:
    write_answers(run, [GreedyAnswer(p.id, p.prompt, p.completion, p.completion) for p in prompts])
    gain = Difference(len(prompts), 0.2, 0.1, 0.3, 0.01)
    metrics = [
        AnswerMetric(**vars(gain), metric=name, title=title, base=0.1, trained=0.3,
                     verdict=verdict(gain))
        for name, title in TITLES.items()
    ]  # fmt: skip
    answers = {model: _answer(f" the answer of {model}") for model in MODELS}
    pairs = tuple(AnswerPair(p.id, p.prompt, p.completion, **answers) for p in prompts)
    write_evaluation(
        run,
        Evaluation(
            prompts=pairs,
            origins=AnswerOrigins(missing="not traced"),
            metrics=tuple(metrics),
            words=None,
            signatures={},
            perplexities=dict.fromkeys(MODELS, Perplexity(10.0, 12.0)),
            sampling=Decoding(0.0, 1.0, (), 64, 8192),
            warnings=(),
        ),
    )


def _answer(text: str) -> ModelAnswer:
    scores = dict.fromkeys(TITLES, 0.25)
    return ModelAnswer(text, "end", "", scores, CopiedWords(2, 4, "the answer", None))


def _write_benchmark(run: RunDir, questions: int) -> None:
    asked = ("boolq", "boolq", "texts")
    value = Estimate(0.5, questions, 0.1, 0.4, 0.6)
    scores = tuple(BenchmarkScore(**vars(value), benchmark=asked[0], task=asked[1],
                                  scored_by=asked[2], model=model, refused=0, chance=0.5)
                   for model in MODELS)  # fmt: skip
    names = {model: str(model) for model in MODELS}
    benchmarks = Benchmarks(
        FOLDER, "4", names, {"boolq": 0}, questions, scores, (), {}, (), {"base": 1.0}
    )
    write_benchmarks(run, benchmarks)
    choices = ["yes", "no"]
    write_questions(
        run,
        FOLDER,
        (
            QuestionRow(
                model=model, benchmark=asked[0], task=asked[1], question_id=str(number),
                way="texts", scored_by=asked[2], examples="", prompt=f"Is {number} even?",
                choices=choices, log_likelihoods=[-1.0, -2.0], gold=[choices[number % 2]],
                prediction="yes", text="", score=float(number % 2 == 0), cut_tokens=0,
            )
            for number in range(questions)
            for model in MODELS
        ),
    )  # fmt: skip
