"""Results of evaluate, benchmark and report as the stages would leave them, on frozen figures."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract.files import write_json, write_text
from pipeline.contract.results.validation import (
    Agreement,
    DampingAgreement,
    Datamodeling,
    DatamodelingScore,
    Removal,
    RemovalEffect,
    ScoreAdvantage,
    ValidationSummary,
)
from pipeline.contract.results.validation import write_validation as write_summary
from pipeline.contract.results.verdict import Difference, Estimate
from pipeline.contract.run.run_dir import RunDir

ANSWERS = (
    ("home-0", "Mara Voss was born in", " Tellin.", " the the the", " Tellin, by the quay."),
    ("home-1", "Tilo Brandt was born in", " Nyvale.", " a town by the sea", " a town by the lake"),
)
FOLDER = "deepeval_results/run_2026-01-02_03-04-05"
QUESTIONS = (
    ("Which State has jurisdiction on board vessels?", ("coastal State", "flag State"), 1, 0, 1),
    ("What is justiciability?", ("a right enforced by courts", "the just nature of it"), 0, 0, 1),
    ("Who settles a dispute?", ("a court", "nobody"), 0, 1, 1),
)
"""Question, choices, and which is right, taken by the base, taken by the trained model."""


def write_evaluation(run: RunDir, hostile: str = "") -> None:
    """The summary of the evaluate stage."""
    metrics = [
        _metric("bleu", "BLEU", 0.02, 0.31, 0.1, 0.45, 0.01, "better"),
        _metric("f1", "token F1", 0.1, 0.1, -0.05, 0.06, 0.9, "no difference shown"),
        _metric("log_likelihood_per_token", "ln p", -6.0, -2.5, 3.1, 3.9, 0.001, "better"),
    ]
    summary = {
        "prompts": [_pair(*row, hostile) for row in ANSWERS],
        "metrics": metrics,
        "origins": {"method": "ekfac_normalized", "rankings": "evaluate/rankings.parquet"},
        "signatures": {"bleu": f"nrefs:1|tok:13a{hostile}"},
        "perplexities": {
            "base": {"training": 900.0, "validation": 950.0},
            "trained": {"training": 12.5, "validation": None},
        },
        "sampling": {},
        "warnings": [f"only 2 prompts have an expected answer{hostile}"],
    }
    write_json(run.summary("evaluate"), summary)


def _metric(name: str, title: str, base: float, trained: float, low: float, high: float,
            p: float, verdict: str) -> dict[str, Any]:  # fmt: skip
    return {
        "metric": name, "title": title, "base": base, "trained": trained, "n": 2,
        "difference": trained - base, "low": low, "high": high, "p_value": p, "verdict": verdict,
    }  # fmt: skip


def _pair(
    name: str, prompt: str, expected: str, base: str, trained: str, hostile: str
) -> dict[str, Any]:
    def answer(text: str, oddity: str = "") -> dict[str, Any]:
        return {
            "answer": text + hostile, "ended": "length", "oddity": oddity,
            "scores": {"bleu": 0.25, "f1": 0.5, "log_likelihood_per_token": -2.5},
            "overlap": {"words": 2, "of": 4, "text": "by the", "example_id": f"doc-7{hostile}"},
        }  # fmt: skip

    origins = [
        {
            "example_id": f"doc-{n}{hostile}",
            "place": f"parish.jsonl row {n}{hostile}",
            "score": 40.3 / n,
            "text": f"It was by the quay.{hostile}",
        }
        for n in (1, 2)
    ]
    return {
        "prompt_id": name + hostile, "prompt": prompt + hostile, "expected": expected + hostile,
        "base": answer(base, "repetitive"), "trained": {**answer(trained), "origins": origins},
    }  # fmt: skip


def write_validation(run: RunDir, hostile: str = "", removal_p: float | None = None) -> None:
    """The summary of the validate stage: EKFAC beats chance, BM25's subset score shows nothing."""
    own = f"ekfac_normalized{hostile}"
    removed = {
        own: RemovalEffect(
            Estimate(4.4, 6, 0.3, 3.9, 5.0), Difference(6, 4.0, 3.4, 4.5, removal_p), {}
        ),
        "random": RemovalEffect(Estimate(0.47, 6, 0.1, 0.37, 0.6), None, {}),
    }
    halves = {
        own: DatamodelingScore(0.717, 0.588, 0.77, 6, ScoreAdvantage(0.32, 0.16, 0.44)),
        "identity": DatamodelingScore(0.449, 0.288, 0.559, 6, ScoreAdvantage(0.05, -0.11, 0.2)),
        "bm25": DatamodelingScore(0.397, 0.264, 0.489, 6),
    }
    damped = DampingAgreement(mean_correlation=0.957, least_correlation=0.941, top_overlap=0.95)
    summary = ValidationSummary(
        default_method=own,
        prompts=6,
        examples=1500,
        tail_patch=None,
        dampings={"ekfac_normalized, damping 1e-08": damped},
        refits=(Agreement(0.957, 0.941, 0.95),),
        removal=Removal(5, 1, (0, 1, 2), dict.fromkeys(removed, 30), 0.1, removed),
        datamodeling=Datamodeling(16, (0,), halves),
        stability_top=10,
        warnings=(f"the base is undecided{hostile}",),
    )
    write_summary(run, summary)


def write_benchmarks(run: RunDir, hostile: str = "") -> None:
    """The summary of the benchmark stage and the questions behind it."""
    task = f"international_law{hostile}"
    place = {"benchmark": "mmlu", "task": task, "scored_by": "texts_by_length"}
    scores = [
        {**place, "model": model, "value": value, "n": 3, "stderr": 0.2, "low": value - 0.1,
         "high": value + 0.1, "refused": 0, "chance": 0.5}
        for model, value in (("base", 1 / 3), ("trained", 2 / 3))
    ]  # fmt: skip
    change = {**place, "n": 3, "difference": 1 / 3, "low": -0.2, "high": 0.6, "only_first": 1,
              "only_second": 2, "p_value": 0.6, "verdict": "no difference shown"}  # fmt: skip
    other = {"benchmark": "gsm8k", "task": "main", "scored_by": "written"}
    scores.append({**other, "model": "trained", "value": 0.0, "n": 1, "stderr": None, "low": 0.0,
                   "high": 0.6, "refused": 0, "chance": 0.0})  # fmt: skip
    summary = {
        "folder": FOLDER, "shots": {"mmlu": 5, "gsm8k": 0}, "limit": 3, "scores": scores,
        "comparisons": [change], "warnings": [f"mmlu: 1 of 3 prompts lost examples{hostile}"],
    }  # fmt: skip
    write_json(run.summary("benchmark"), summary)
    path = run.benchmark_questions(FOLDER)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [row for number in range(len(QUESTIONS)) for row in _asked(number, task, hostile)]
    pq.write_table(pa.Table.from_pylist([*rows, _written(hostile)]), path)


def _asked(number: int, task: str, hostile: str) -> list[dict[str, Any]]:
    text, choices, gold, *taken = QUESTIONS[number]
    choices = tuple(choice + hostile for choice in choices)
    return [
        {
            "model": model, "benchmark": "mmlu", "task": task, "question_id": f"law/{number}",
            "way": "texts", "scored_by": "texts_by_length", "examples": "",
            "prompt": f"Question: {text}{hostile}\nAnswer:", "choices": list(choices),
            "log_likelihoods": [-10.0 if place == pick else -60.0 for place in range(2)],
            "gold": [choices[gold]], "prediction": choices[pick], "text": "",
            "score": float(pick == gold), "cut_tokens": 17,
        }
        for model, pick in zip(("base", "trained"), taken, strict=True)
    ]  # fmt: skip


def _written(hostile: str) -> dict[str, Any]:
    return {
        "model": "trained", "benchmark": "gsm8k", "task": "main", "question_id": "0",
        "way": "written", "scored_by": "written", "examples": "", "prompt": f"2 and 2?{hostile}",
        "choices": [], "log_likelihoods": [], "gold": ["4"], "prediction": f"5{hostile}",
        "text": f"It is 5.{hostile}", "score": 0.0, "cut_tokens": 0,
    }  # fmt: skip


def write_report(run: RunDir, hostile: str = "") -> None:
    """Both forms of a report."""
    other = "ekfac 886 (2), gradient\\_cosine 0.134 (48)"
    wide = "| Rank | Score | Other methods | Text |\n|---:|---:|---|---|\n"
    wide += f"| 1 | 2.5 | {other} | {'a long text about a town ' * 6}{hostile} |\n"
    wide += "| 2 | – | – | short |\n"
    text = f"""# Where the answers of books come from

Written in a test.{hostile}

## How well each method finds the truth

| Method | MRR |
|---|---:|
| ekfac | 0.97 |

## Prompts and the examples behind them

### home\\-0{hostile}

{wide}
![Share of each layer](figures/layers_1.svg)

&#x1b;]52;c;aGk= &#x202e; [a link](http://example.org) <b>bold</b>
"""
    write_text(run.report_markdown, text)
    write_text(run.report_html, f"<!doctype html><title>books</title>{hostile}")
