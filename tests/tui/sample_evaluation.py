"""Results of evaluate, benchmark and report as the stages would leave them, on frozen figures."""

from __future__ import annotations

from dataclasses import replace

from pipeline.contract.files import write_text
from pipeline.contract.results import benchmark_questions, benchmarks, evaluation
from pipeline.contract.results.benchmark_questions import QuestionRow
from pipeline.contract.results.benchmarks import BenchmarkComparison, Benchmarks, BenchmarkScore
from pipeline.contract.results.evaluation import (
    AnswerMetric,
    AnswerOrigins,
    AnswerPair,
    CopiedWords,
    Decoding,
    Evaluation,
    ModelAnswer,
    Oddity,
    Origin,
)
from pipeline.contract.results.generation import MODELS, Perplexity
from pipeline.contract.results.spans import Place, TextTrace, TracedSpan
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
from pipeline.contract.results.verdict import Difference, Estimate, verdict
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
    evaluation.write_evaluation(
        run,
        Evaluation(
            prompts=tuple(_pair(*row, hostile) for row in ANSWERS),
            origins=AnswerOrigins("ekfac_normalized", "evaluate/rankings.parquet"),
            metrics=(
                _metric("bleu", "BLEU", 0.02, 0.31, 0.1, 0.45, 0.01),
                _metric("f1", "token F1", 0.1, 0.1, -0.05, 0.06, 0.9),
                _metric("log_likelihood_per_token", "ln p", -6.0, -2.5, 3.1, 3.9, 0.001),
            ),
            words=None,
            signatures={"bleu": f"nrefs:1|tok:13a{hostile}"},
            perplexities={"base": Perplexity(900.0, 950.0), "trained": Perplexity(12.5, None)},
            sampling=Decoding(0.0, 1.0, ("\n\n",), 64, 8192),
            warnings=(f"only 2 prompts have an expected answer{hostile}",),
        ),
    )


def _metric(
    name: str, title: str, base: float, trained: float, low: float, high: float, p: float
) -> AnswerMetric:
    gain = Difference(2, trained - base, low, high, p)
    return AnswerMetric(
        **vars(gain), metric=name, title=title, base=base, trained=trained, verdict=verdict(gain)
    )


def _pair(
    name: str, prompt: str, expected: str, base: str, trained: str, hostile: str
) -> AnswerPair:
    origins = tuple(
        Origin(
            example_id=f"doc-{n}{hostile}",
            place=f"parish.jsonl row {n}{hostile}",
            score=40.3 / n,
            text=f"It was by the quay.{hostile}",
        )
        for n in (1, 2)
    )
    return AnswerPair(
        prompt_id=name + hostile,
        prompt=prompt + hostile,
        expected=expected + hostile,
        base=_answer(base, hostile, "repetitive"),
        trained=_traced(_answer(trained, hostile, "", origins), prompt + hostile, hostile),
    )


def _traced(answer: ModelAnswer, prompt: str, hostile: str) -> ModelAnswer:
    """An answer of which `by the` stands word for word in the training data."""
    text, begins = prompt + answer.answer, len(prompt)
    first = text.index("by the", begins)
    letters = (first, first + len("by the"))
    copy = TracedSpan(
        text=f"by the{hostile}", start=8, end=10, letters=letters, count=3, expected=0.001,
        copied=True, added=False, places=(Place(f"doc-7{hostile}", 4, 7),),
    )  # fmt: skip
    return replace(answer, copies=TextTrace(text, begins, 6, 2, (copy,), ()), origin="taught")


def _answer(
    text: str, hostile: str, oddity: Oddity, origins: tuple[Origin, ...] = ()
) -> ModelAnswer:
    return ModelAnswer(
        answer=text + hostile,
        ended="length",
        oddity=oddity,
        scores={"bleu": 0.25, "f1": 0.5, "log_likelihood_per_token": -2.5},
        overlap=CopiedWords(2, 4, "by the", f"doc-7{hostile}"),
        origins=origins,
    )


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
    law = ("mmlu", f"international_law{hostile}", "texts_by_length")
    change = Difference(3, 1 / 3, -0.2, 0.6, 0.6)
    benchmarks.write_benchmarks(
        run,
        Benchmarks(
            folder=FOLDER,
            deepeval="4.3.1",
            models={"base": "base", "trained": "model"},
            shots={"mmlu": 5, "gsm8k": 0},
            limit=3,
            scores=(
                BenchmarkScore(1 / 3, 3, 0.2, 1 / 3 - 0.1, 1 / 3 + 0.1, *law, "base", 0, 0.5),
                BenchmarkScore(2 / 3, 3, 0.2, 2 / 3 - 0.1, 2 / 3 + 0.1, *law, "trained", 0, 0.5),
                BenchmarkScore(
                    0.0, 1, None, 0.0, 0.6, "gsm8k", "main", "written", "trained", 0, 0.0
                ),
            ),
            comparisons=(BenchmarkComparison(**vars(change), benchmark=law[0], task=law[1],
                         scored_by=law[2], only_first=1, only_second=2, verdict=verdict(change)),),
            skipped={},
            warnings=(f"mmlu: 1 of 3 prompts lost examples{hostile}",),
            seconds={"base": 1.0, "trained": 1.0},
        ),
    )  # fmt: skip
    rows = [row for number in range(len(QUESTIONS)) for row in _asked(number, law[1], hostile)]
    benchmark_questions.write_questions(run, FOLDER, [*rows, _written(hostile)])


def _asked(number: int, task: str, hostile: str) -> list[QuestionRow]:
    text, offered, gold, *taken = QUESTIONS[number]
    choices = tuple(choice + hostile for choice in offered)
    return [
        QuestionRow(
            model=model, benchmark="mmlu", task=task, question_id=f"law/{number}",
            way="texts", scored_by="texts_by_length", examples="",
            prompt=f"Question: {text}{hostile}\nAnswer:", choices=choices,
            log_likelihoods=[-10.0 if index == pick else -60.0 for index in range(2)],
            gold=[choices[gold]], prediction=choices[pick], text="",
            score=float(pick == gold), cut_tokens=17,
        )
        for model, pick in zip(MODELS, taken, strict=True)
    ]  # fmt: skip


def _written(hostile: str) -> QuestionRow:
    return QuestionRow(
        model="trained", benchmark="gsm8k", task="main", question_id="0", way="written",
        scored_by="written", examples="", prompt=f"2 and 2?{hostile}", choices=[],
        log_likelihoods=[], gold=["4"], prediction=f"5{hostile}", text=f"It is 5.{hostile}",
        score=0.0, cut_tokens=0,
    )  # fmt: skip


def write_report(run: RunDir, hostile: str = "") -> None:
    """Both forms of a report."""
    wide = "| Rank | Score | Text | Group | ekfac | kfac | identity | gradient\\_cosine | bm25 |\n"
    wide += "|---:|---:|---|---:|---:|---:|---:|---:|---:|\n"
    wide += f"| ★ 1 | 2.5 | {'a long text about a town ' * 6}{hostile} | 7 | 2 | 3 | 4 | 48 | 5 |\n"
    wide += "| 2 | – | short | – | 6 | 9 | 8 | 1 | 2 |\n"
    text = f"""# Where the answers of books come from

Written in a test.{hostile}

## How well each method finds the truth

| Method | MRR |
|---|---:|
| ekfac | 0.97 |

![Change of every metric](figures/answers.svg)

![Loss by step](figures/loss.svg)

## Prompts and the examples behind them

### home\\-0{hostile}

{wide}
![Something else](figures/other.svg)

&#x1b;]52;c;aGk= &#x202e; [a link](http://example.org) <b>bold</b>
"""
    write_text(run.report_markdown, text)
    write_text(run.report_html, f"<!doctype html><title>books</title>{hostile}")
