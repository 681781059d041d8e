"""How every reader of the results room is put before `finish_run`'s run, and what it must find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.contract.results.answers import read_answers
from pipeline.contract.results.benchmark_questions import AnswerStore, read_questions
from pipeline.contract.results.benchmarks import load_benchmarks, read_benchmarks
from pipeline.contract.results.budget import read_budget
from pipeline.contract.results.claims import Claims
from pipeline.contract.results.common import Loaded
from pipeline.contract.results.evaluation import load_evaluation, read_evaluation
from pipeline.contract.results.examples import (
    iterate_contents,
    read_contents,
    read_corpus_summary,
    read_document_ids,
    read_example_ids,
    read_examples,
    read_labelled,
    read_origins,
    read_text_at,
    read_texts,
    read_tokens,
    read_turns,
)
from pipeline.contract.results.factors import read_factors_summary
from pipeline.contract.results.generation import (
    load_generated_answers,
    read_generated_answers,
    read_generation,
)
from pipeline.contract.results.index import (
    load_index_summary,
    read_index_summary,
    read_text_losses,
)
from pipeline.contract.results.lambda_maps import read_lambda_map
from pipeline.contract.results.learning_curves import learning_curves
from pipeline.contract.results.lookup import Corpus
from pipeline.contract.results.module_scores import ModuleScoreFile
from pipeline.contract.results.precision import read_precision
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.proofs import load_proofs, read_proofs
from pipeline.contract.results.rankings import read_rankings
from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.report import load_report, read_report
from pipeline.contract.results.score_file import ScoreFile, load_scores
from pipeline.contract.results.scores import load_scores_summary, read_scores_summary
from pipeline.contract.results.spans import read_span_index
from pipeline.contract.results.spectra import load_spectra, read_curve, read_spectra, read_summary
from pipeline.contract.results.tokens import find_token_scores, read_token_scores
from pipeline.contract.results.training import load_training, read_training
from pipeline.contract.results.validation import (
    load_validation,
    read_retrainings,
    read_validation,
)
from pipeline.contract.run.events import EventReader
from pipeline.contract.run.run_dir import RunDir
from pipeline.verbatim.indexing import open_span_index
from tests.small_runs import sentences

PROMPTS = ["river", "baker"]
IDS = [*(f"d{number}" for number in range(46)), "d46#0", "d46#1"]
TEXTS = sentences(56)[8:]
MODULE = "model.layers.1.mlp.up_proj"


@dataclass(frozen=True)
class Reader:
    """A reader's call, what it must find, and the files that it finds it in."""

    read: Callable[[RunDir], Any]
    is_right: Callable[[RunDir, Any], bool]
    files: Callable[[RunDir], tuple[Path, ...]]


def summary_of(stage: str) -> Callable[[RunDir], tuple[Path, ...]]:
    return lambda run: (run.summary(stage),)


def of_examples(run: RunDir) -> tuple[Path, ...]:
    return (run.examples,)


def of_scores(run: RunDir) -> tuple[Path, ...]:
    return (run.scores,)


def has_scores_of_all(run: RunDir, file: ScoreFile) -> bool:
    told = file.metadata
    whole = all(np.isfinite(file.method(name)).all() for name in told.methods)
    return whole and list(told.prompts) == PROMPTS and told.examples == len(IDS)


def leads_its_scores(run: RunDir, rows: list[Any]) -> bool:
    order = highest_first(ScoreFile(run).scores(0, "ekfac_normalized"))
    return [row.example_id for row in rows] == [IDS[index] for index in order[: len(rows)]]


def adds_up(run: RunDir, file: ModuleScoreFile) -> bool:
    scores = ScoreFile(run)
    total = sum(file.score(name, 1, 5) for name in scores.metadata.modules)
    return total == pytest.approx(scores.scores(1, "ekfac")[5], rel=1e-3)


def is_text_of_its_example(run: RunDir, found: Any) -> bool:
    texts = dict(zip(IDS, TEXTS, strict=True))
    return all(texts[name] in "".join(one.tokens) for (_, name), one in found.items())


def first_of_ranking(run: RunDir) -> str:
    return read_rankings(run, prompt_id="river", method="ekfac_normalized", end="top")[0].example_id


def is_spectrum_of_every_module(run: RunDir, spectra: Any) -> bool:
    return {one.module for one in spectra} == set(ScoreFile(run).metadata.modules)


def statistics(run: RunDir, kind: str) -> Any:
    [found] = [one for one in read_spectra(run) if (one.module, one.kind) == (MODULE, kind)]
    return found.statistics


def benchmark_questions(run: RunDir) -> Any:
    found = read_benchmarks(run)
    return read_questions(run, found.folder, "boolq", "all tasks", found.scores[0].scored_by)


def built_span_index(run: RunDir) -> Any:
    """No stage makes it: it is made of the examples when first needed."""
    open_span_index(run, run.examples)
    return read_span_index(run.verbatim(run.examples))


def is_last_step(run: RunDir, found: Any) -> bool:
    steps, _ = learning_curves(EventReader(run.events).read(), ("loss",))["loss"]
    return bool(steps[-1] == found.steps)


READERS: dict[str, Reader] = {
    "answers.read_answers": Reader(
        read_answers, lambda _, found: list(found) == PROMPTS, lambda run: (run.answers,)
    ),
    "benchmark_questions.AnswerStore": Reader(
        lambda run: AnswerStore(run, "boolq", "base").read(),
        lambda run, found: (
            {name for name, _ in found} == {question.id for question in benchmark_questions(run)}
        ),
        lambda run: (run.benchmark_answers("boolq", "base"),),
    ),
    "benchmark_questions.read_questions": Reader(
        benchmark_questions,
        lambda _, found: [list(one.replies) for one in found] == [["base", "trained"]] * 2,
        lambda run: (run.benchmark_questions(read_benchmarks(run).folder),),
    ),
    "budget.read_budget": Reader(
        read_budget,
        lambda _, found: found.device == "cpu" and found.prompts > 0 and found.rank == 0,
        lambda run: (run.budget,),
    ),
    "claims.Claims": Reader(
        Claims,
        lambda run, found: found.named([first_of_ranking(run)]).tolist() == found.first("river", 1),
        of_scores,
    ),
    "evaluation.read_evaluation": Reader(
        read_evaluation,
        lambda run, found: (
            [one.trained.answer for one in found.prompts]
            == [one.trained.answer for one in read_generated_answers(run)]
        ),
        summary_of("evaluate"),
    ),
    "examples.read_examples": Reader(
        read_examples, lambda _, found: found.num_rows == len(IDS), of_examples
    ),
    "examples.read_example_ids": Reader(
        read_example_ids, lambda _, found: found == IDS, of_examples
    ),
    "examples.read_document_ids": Reader(
        read_document_ids,
        lambda _, found: found == [name.partition("#")[0] for name in IDS],
        of_examples,
    ),
    "examples.read_texts": Reader(read_texts, lambda _, found: found == TEXTS, of_examples),
    "examples.read_tokens": Reader(
        read_tokens,
        lambda run, found: list(map(len, found)) == Corpus(run).n_tokens.tolist(),
        of_examples,
    ),
    "examples.read_origins": Reader(
        read_origins,
        lambda _, found: found.num_rows == len(IDS) and found[0].to_pylist() == IDS,
        of_examples,
    ),
    "examples.read_contents": Reader(read_contents, lambda _, found: found == TEXTS, of_examples),
    "examples.read_labelled": Reader(read_labelled, lambda _, found: found is None, of_examples),
    "examples.read_text_at": Reader(
        lambda run: read_text_at(run, 3), lambda _, found: found == TEXTS[3], of_examples
    ),
    "examples.read_turns": Reader(
        lambda run: read_turns(run, 0), lambda _, found: found == (), of_examples
    ),
    "examples.iterate_contents": Reader(
        lambda run: list(iterate_contents(run, run.examples)),
        lambda _, found: [text for batch in found for text in batch] == TEXTS,
        of_examples,
    ),
    "examples.read_corpus_summary": Reader(
        read_corpus_summary, lambda _, found: found.examples == len(IDS), summary_of("prepare")
    ),
    "factors.read_factors_summary": Reader(
        read_factors_summary,
        lambda run, found: found.modules == ScoreFile(run).metadata.modules,
        summary_of("factors"),
    ),
    "generation.read_generation": Reader(
        read_generation, lambda _, found: found.prompts == len(PROMPTS), summary_of("generate")
    ),
    "generation.read_generated_answers": Reader(
        read_generated_answers,
        lambda _, found: [one.expected for one in found] == [" past the mill", " bread"],
        lambda run: (run.generated_answers,),
    ),
    "benchmarks.read_benchmarks": Reader(
        read_benchmarks,
        lambda _, found: (
            {(row.model, row.n) for row in found.scores} == {("base", 2), ("trained", 2)}
        ),
        summary_of("benchmark"),
    ),
    "index.read_index_summary": Reader(
        read_index_summary,
        lambda _, found: (found.examples, found.features) == (len(IDS), 64),
        summary_of("index"),
    ),
    "index.read_text_losses": Reader(
        read_text_losses,
        lambda _, found: bool((found.losses[~np.isnan(found.losses)] > 0).all()),
        lambda run: (run.text_losses,),
    ),
    "lambda_maps.read_lambda_map": Reader(
        lambda run: read_lambda_map(run, "ekfac", MODULE),
        lambda run, found: found.outputs * found.inputs == statistics(run, "lambda").count,
        lambda run: (run.lambda_maps,),
    ),
    "lookup.Corpus": Reader(
        Corpus,
        lambda _, found: [found.text(position) for position in range(len(found))] == TEXTS,
        lambda run: (run.lookup,),
    ),
    "module_scores.ModuleScoreFile": Reader(
        lambda run: ModuleScoreFile(run, "ekfac", len(PROMPTS), len(IDS)),
        adds_up,
        lambda run: (run.module_scores("ekfac"),),
    ),
    "precision.read_precision": Reader(
        lambda run: read_precision(run, "scores"),
        lambda _, found: found.amp_dtype == "none",
        lambda run: (run.precision("scores"),),
    ),
    "prompts.read_prompts": Reader(
        read_prompts,
        lambda _, found: [one.id for one in found] == PROMPTS,
        lambda run: (run.prepared_prompts,),
    ),
    "proofs.read_proofs": Reader(
        read_proofs,
        lambda run, found: [first_of_ranking(run) in one.claim.examples for one in found] == [True],
        lambda run: (run.proofs,),
    ),
    "proofs.load_proofs": Reader(
        load_proofs,
        lambda _, found: [one.fresh and one.value.claim.prompt for one in found] == ["river"],
        lambda run: (run.proofs,),
    ),
    "rankings.read_rankings": Reader(
        lambda run: read_rankings(run, prompt_id="river", method="ekfac_normalized", end="top"),
        lambda run, found: len(found) > 0 and leads_its_scores(run, found),
        lambda run: (run.rankings,),
    ),
    "report.read_report": Reader(
        read_report,
        lambda _, found: all(name in found for name in PROMPTS),
        lambda run: (run.report_markdown,),
    ),
    "score_file.ScoreFile": Reader(ScoreFile, has_scores_of_all, of_scores),
    "scores.read_scores_summary": Reader(
        read_scores_summary,
        lambda run, found: found.methods == ScoreFile(run).metadata.methods,
        summary_of("scores"),
    ),
    "spans.read_span_index": Reader(
        built_span_index,
        lambda run, found: found.tokens == int(Corpus(run).n_tokens.sum()),
        of_examples,
    ),
    "spectra.read_summary": Reader(
        read_summary,
        lambda run, found: found.modules == len(ScoreFile(run).metadata.modules),
        summary_of("inspect"),
    ),
    "spectra.read_spectra": Reader(
        read_spectra, is_spectrum_of_every_module, lambda run: (run.module_table,)
    ),
    "spectra.read_curve": Reader(
        lambda run: read_curve(run, "ekfac", MODULE, "gradient"),
        lambda run, found: (
            found.values[0] == pytest.approx(statistics(run, "gradient").largest, rel=1e-6)
        ),
        lambda run: (run.eigenvalues,),
    ),
    "tokens.read_token_scores": Reader(
        read_token_scores,
        lambda run, found: bool(found) and is_text_of_its_example(run, found),
        lambda run: (run.token_scores,),
    ),
    "tokens.find_token_scores": Reader(
        lambda run: find_token_scores(run, "river", first_of_ranking(run)),
        lambda run, found: found == read_token_scores(run)["river", first_of_ranking(run)],
        lambda run: (run.token_scores,),
    ),
    "training.read_training": Reader(read_training, is_last_step, summary_of("train")),
    "validation.read_validation": Reader(
        read_validation,
        lambda _, found: (found.prompts, found.examples) == (len(PROMPTS), len(IDS)),
        summary_of("validate"),
    ),
    "validation.read_retrainings": Reader(
        read_retrainings,
        lambda _, found: {len(one.values) for one in found} == {len(PROMPTS)},
        lambda run: (run.retrainings,),
    ),
}
"""Module.reader → how it is put before the run."""
LOADERS: dict[str, tuple[Callable[[RunDir], Loaded[Any]], str, str]] = {
    "benchmarks.load_benchmarks": (load_benchmarks, "benchmark", "benchmarks.read_benchmarks"),
    "evaluation.load_evaluation": (load_evaluation, "evaluate", "evaluation.read_evaluation"),
    "generation.load_generated_answers": (
        load_generated_answers,
        "generate",
        "generation.read_generated_answers",
    ),
    "index.load_index_summary": (load_index_summary, "index", "index.read_index_summary"),
    "report.load_report": (load_report, "report", "report.read_report"),
    "score_file.load_scores": (load_scores, "scores", "score_file.ScoreFile"),
    "scores.load_scores_summary": (load_scores_summary, "scores", "scores.read_scores_summary"),
    "spectra.load_spectra": (load_spectra, "inspect", "spectra.read_spectra"),
    "training.load_training": (load_training, "train", "training.read_training"),
    "validation.load_validation": (load_validation, "validate", "validation.read_validation"),
}
"""Module.loader → the loader, its stage, and the reader whose finding it gives."""
