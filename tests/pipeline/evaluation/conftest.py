"""Benchmark rows in the hub's column layout, a few of each, and models that answer by rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.contract.results.benchmark_questions import BenchmarkAnswer
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.evaluation.benchmarks.benchmark import Benchmark
from pipeline.evaluation.likelihood import Likelihood
from pipeline.evaluation.questions import BenchmarkQuestion, Open, Ranked, graded
from pipeline.stages import train

Rows = dict[str, list[dict[str, Any]]]


def mmlu(subject: str, count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        {"question": f"{subject} question {n}?", "subject": subject,
         "choices": [f"{word} of {subject}" for word in ("one", "two", "three", "four")],
         "answer": n % 4}
        for n in range(first, first + count)
    ]  # fmt: skip


def truth(n: int) -> dict[str, Any]:
    choices = [f"true {n}", f"false {n}", f"wrong {n}", f"untrue {n}"]
    return {
        "question": f"What is so at {n}?",
        "mc1_targets": {"choices": choices, "labels": [1, 0, 0, 0]},
        "mc2_targets": {"choices": choices, "labels": [1, 1, 0, 0]},
    }


def arc(n: int, labels: str, key: str) -> dict[str, Any]:
    texts = [f"thing {label}" for label in labels]
    choices = {"text": texts, "label": list(labels)}
    return {"id": str(n), "question": f"Which thing {n}?", "choices": choices, "answerKey": key}


def scene(n: int, label: str) -> dict[str, Any]:
    return {
        "activity_label": label, "ctx": f"A man {n} sits. he", "ctx_a": f"A man {n} sits.",
        "ctx_b": "he", "endings": ["eats.", "runs.", "sleeps.", "sings."], "label": str(n % 4),
    }  # fmt: skip


def drop(n: int, section: str) -> dict[str, Any]:
    spans = {"spans": [f"{n},000"], "types": ["number"]}
    return {"section_id": section, "passage": f"There were {n},000 sheep.", "answers_spans": spans,
            "question": "How many sheep?"}  # fmt: skip


ROWS: Rows = {
    "cais/mmlu/professional_law/dev": mmlu("law", 5, first=1000),
    "cais/mmlu/professional_law/test": mmlu("law", 300),
    "cais/mmlu/business_ethics/dev": mmlu("ethics", 5, first=1000),
    "cais/mmlu/business_ethics/test": mmlu("ethics", 4),
    "truthful_qa/multiple_choice/validation": [truth(n) for n in range(12)],
    "ai2_arc/ARC-Challenge/train": [arc(90, "ABCD", "A")],
    "ai2_arc/ARC-Challenge/test": [arc(0, "ABCD", "C"), arc(1, "1234", "2"), arc(2, "ABCDE", "E")],
    "Rowan/hellaswag/default/train": [scene(n, f"activity {n}") for n in range(12)],
    "Rowan/hellaswag/default/validation": [scene(n, "High jump") for n in range(4)],
    "boolq/default/validation": [
        {"question": "is snow white", "passage": "Snow is white.", "answer": True},
        {"question": "is snow black", "passage": "Snow is white.", "answer": False},
    ],
    "allenai/winogrande/winogrande_xs/validation": [
        {"sentence": "Ann thanked Bea because _ had helped.", "option1": "Ann", "option2": "Bea",
         "answer": "2"},
    ],
    "gsm8k/main/train": [
        {"question": f"What is {n} + {n}?", "answer": f"{n} + {n} = {2 * n}\n#### {2 * n}"}
        for n in range(3)
    ],
    "gsm8k/main/test": [{"question": "How much is it?", "answer": "Many.\n#### 1,200"}],
    "EleutherAI/lambada_openai/default/test": [
        {"text": "Ann went to the river. There she saw the old mill"}
    ],
    "lukaemon/bbh/navigate/test": [
        {"input": "Do you return?\nOptions:\n- Yes\n- No", "target": "No"}
    ],
    "lukaemon/bbh/snarks/test": [
        {"input": "Which is sarcastic?\nOptions:\n(A) x\n(B) y", "target": "(B)"}
    ],
    "lukaemon/bbh/word_sorting/test": [{"input": "Sort: b a", "target": "a b"}],
    "ucinlp/drop/default/train": [drop(n, f"history_{n}") for n in range(6)],
    "ucinlp/drop/default/validation": [drop(7, "nfl_649")],
    "regisss/math_qa/default/test": [
        {"Problem": "what is 1 + 1 ?", "options": "a ) 1 , b ) 2 , c ) 3 , 4 , d ) 5 , e ) none",
         "correct": "e", "category": "general"}
    ],
    "baber/logiqa2/logiqa2/test": [
        {"text": "All men are mortal.", "question": "What follows?", "answer": 1,
         "options": ["a", "b", "c", "d"], "type": "{'Categorical Reasoning': True}"},
        {"text": "No man is a stone.", "question": "What follows?", "answer": 2,
         "options": ["a", "b", "c", "d"],
         "type": '{"Categorical Reasoning": true, "Conjunctive Reasoning": true}'},
    ],
    "heegyu/bbq/Age/test": [
        {"context": "Two people met.", "question": "Who is old?", "ans0": "the first",
         "ans1": "the second", "ans2": "unknown", "label": 2}
    ],
    "google/IFEval/default/train": [
        {"prompt": "Write without commas.", "instruction_id_list": ["punctuation:no_comma"],
         "kwargs": [{"num_words": None}]}
    ],
    "rajpurkar/squad/plain_text/validation": [
        {"title": "Normans", "context": "The Normans came in 1066.", "question": "When?",
         "answers": {"text": ["1066", "in 1066"], "answer_start": [20, 17]}}
    ],
    "openai_humaneval/openai_humaneval/test": [
        {"prompt": "def double(x):\n", "entry_point": "double",
         "test": "def check(candidate):\n    assert candidate(2) == 4\n"},
        {"prompt": "def double(text):\n", "entry_point": "double",
         "test": "def check(candidate):\n    assert candidate('a') == 'aa'\n"},
    ],
}  # fmt: skip


def path_of(root: Path, key: str) -> Path:
    *name, config, split = key.split("/")
    return root / "__".join(name) / config / f"{split}.jsonl"


@pytest.fixture(scope="session")
def rows_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All rows as a local folder of benchmarks."""
    root = tmp_path_factory.mktemp("benchmarks")
    for key, rows in ROWS.items():
        path = path_of(root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


class ByRule:
    """Finds candidate `choose(asked)` likeliest; writes `text`."""

    def __init__(self, choose: Callable[[Ranked], int], text: str = "") -> None:
        self._choose = choose
        self._text = text

    def answer(
        self, benchmark: Benchmark, questions: list[BenchmarkQuestion]
    ) -> list[BenchmarkAnswer]:
        answers = []
        for question in questions:
            for way, asked in question.ways.items():
                if isinstance(asked, Open):
                    prediction, scores = benchmark.grade(question, self._text)
                    answers.append(BenchmarkAnswer(question.id, way, prediction, scores))
                else:
                    chosen = self._choose(asked)
                    found = [
                        Likelihood(-1.0 - (n != chosen), n == chosen, 1)
                        for n in range(len(asked.pairs))
                    ]
                    answers.append(graded(question, way, asked, found, 0))
        return answers


@pytest.fixture(scope="session")
def trained_run(prepared_run: Any, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with a base and a model of two epochs."""
    run: RunDir = prepared_run(tmp_path_factory.mktemp("trained"))
    settings = load_settings(run.settings)
    fingerprint = freshness.begin("train", settings, run)
    train.run(settings, run, EventWriter(run.events, "train"))
    freshness.finish("train", fingerprint, settings, run, seconds=1.0)
    return run
