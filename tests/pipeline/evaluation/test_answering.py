"""The adapter behind DeepEval's own benchmarks answers as behind ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from deepeval.benchmarks import LogiQA, Winogrande
from deepeval.benchmarks.logi_qa.task import LogiQATask
from pydantic import BaseModel

from pipeline.contract.results.benchmark_questions import BenchmarkAnswer
from pipeline.contract.run.run_dir import RunDir
from pipeline.evaluation.benchmarks import choice
from pipeline.evaluation.benchmarks.answering import AnsweringModel, Item
from pipeline.evaluation.benchmarks.benchmark import Benchmark, Options
from pipeline.evaluation.data import BenchmarkData
from pipeline.evaluation.questions import Ranked
from pipeline.model import load_model, load_tokenizer
from tests.pipeline.evaluation.conftest import path_of

KIND = "Categorical Reasoning"
NAMES = ("Ann", "Bea", "the old miller", "a baker", "the river", "salt")
GAPS = [
    {"sentence": f"{one} thanked {other} because _ had helped.", "option1": one,
     "option2": other, "answer": "1"}
    for one in NAMES for other in NAMES if one != other
]  # fmt: skip
ARTICLES = [
    {"text": f"All that {name} has is old.", "question": "What follows?", "answer": n % 4,
     "options": list(NAMES[:4]), "type": {KIND: True}}
    for n, name in enumerate(NAMES)
]  # fmt: skip


@pytest.fixture(scope="module")
def model(trained_run: RunDir) -> AnsweringModel:
    loaded = load_model(trained_run.model, torch.device("cpu"))
    return AnsweringModel("trained", loaded, load_tokenizer(trained_run.tokenizer), 4096)


class Watched(AnsweringModel):
    """Keeps what it was asked: prompts with a candidate each."""

    def __init__(self, model: AnsweringModel) -> None:
        super().__init__("watched", model.load_model(), model._tokenizer, 4096)
        self.asked: list[str] = []

    def ranked(self, items: Sequence[Item]) -> Iterator[BenchmarkAnswer]:
        for question, way in items:
            asked = question.ways[way]
            assert isinstance(asked, Ranked)
            self.asked += [asked.examples + prompt + answer for prompt, answer in asked.pairs]
        yield from super().ranked(items)


def ours(kind: type[Benchmark], model: AnsweringModel, root: Path, *tasks: str) -> list[str]:
    """The letters that are picked, in the questions' order."""
    questions = kind(BenchmarkData(str(root)), Options(tasks, shots=1)).questions()
    found = model.ranked([(question, "letters") for question in questions])
    picked = {answer.question: answer.prediction for answer in found}
    return [picked[question.id] for question in questions]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    for key, table in (
        ("allenai/winogrande/winogrande_xs/validation", GAPS),
        ("baber/logiqa2/logiqa2/test", ARTICLES),
    ):
        path = path_of(tmp_path, key)
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in table))
    return tmp_path


def test_the_originals_get_the_answers_that_ours_get(model: AnsweringModel, rows: Path) -> None:
    theirs, own = Watched(model), Watched(model)
    gaps = Winogrande(n_problems=len(GAPS), n_shots=1, dataset={"validation": GAPS})
    gaps.evaluate(theirs)
    assert list(gaps.predictions["Prediction"]) == ours(choice.Winogrande, own, rows)
    articles = LogiQA(tasks=[LogiQATask(KIND)], n_shots=1, dataset=ARTICLES)
    articles.evaluate(theirs, batch_size=4)
    assert list(articles.predictions["Prediction"]) == ours(choice.Logiqa, own, rows, KIND)
    assert theirs.asked == own.asked


def test_a_schema_that_lists_no_answers_is_refused(model: AnsweringModel) -> None:
    class Free(BaseModel):
        answer: str

    with pytest.raises(NotImplementedError, match="does not list the answers"):
        model.generate("Who?", Free)
    with pytest.raises(NotImplementedError, match="only a schema lists them"):
        model.generate("Who?")
