"""DeepEval's faults, each shown in the original and mended in ours.

Where a test's second half fails, DeepEval has mended the fault itself, and ours can go.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import datasets
import pytest
from deepeval.benchmarks import (
    ARC,
    BBQ,
    DROP,
    GSM8K,
    LAMBADA,
    MMLU,
    BigBenchHard,
    BoolQ,
    HellaSwag,
    HumanEval,
    IFEval,
    LogiQA,
    MathQA,
    TruthfulQA,
    Winogrande,
)
from deepeval.benchmarks.arc.mode import ARCMode
from deepeval.benchmarks.big_bench_hard.task import BigBenchHardTask
from deepeval.benchmarks.drop.task import DROPTask
from deepeval.benchmarks.hellaswag.task import HellaSwagTask
from deepeval.benchmarks.human_eval.task import HumanEvalTask
from deepeval.benchmarks.logi_qa.task import LogiQATask
from deepeval.benchmarks.math_qa.task import MathQATask
from deepeval.benchmarks.mmlu.task import MMLUTask
from deepeval.benchmarks.squad.template import SQuADTemplate
from deepeval.benchmarks.truthful_qa.mode import TruthfulQAMode
from deepeval.benchmarks.truthful_qa.task import TruthfulQATask
from deepeval.models import DeepEvalBaseLLM
from pydantic import BaseModel

from pipeline.contract.errors import DataError, SettingsError
from pipeline.evaluation.benchmarks import choice, written
from pipeline.evaluation.benchmarks.benchmark import Benchmark, Options
from pipeline.evaluation.data import BenchmarkData
from pipeline.evaluation.questions import BenchmarkQuestion, Open, Ranked
from tests.pipeline.evaluation.conftest import ROWS, ByRule, path_of


class Recorder(DeepEvalBaseLLM):  # type: ignore[misc]
    """Answers the last listed choice, or `text`; keeps what it was asked."""

    def __init__(self, text: str = "") -> None:
        self.prompts: list[str] = []
        self._text = text
        super().__init__("recorder")

    def load_model(self) -> None: ...

    def get_model_name(self) -> str:
        return "recorder"

    def generate(self, prompt: str, schema: type[BaseModel] | None = None) -> Any:
        self.prompts.append(prompt)
        if schema is None:
            return self._text
        listed = get_args(schema.model_fields["answer"].annotation)
        answer = listed[-1] if listed and isinstance(listed[-1], str) else self._text
        return schema.model_construct(answer=answer)

    def batch_generate(self, prompts: list[str], schemas: list[type[BaseModel]]) -> list[Any]:
        return [
            self.generate(prompt, schema) for prompt, schema in zip(prompts, schemas, strict=True)
        ]

    async def a_generate(self, prompt: str) -> str:
        return self._text

    def generate_samples(self, prompt: str, n: int, temperature: float) -> list[str]:
        return [self._text] * n


@pytest.fixture(autouse=True)
def hub_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """DeepEval's originals read our rows."""

    def load(name: str, config: str = "default") -> Any:
        splits = {key.rsplit("/", 1)[1]: rows for key, rows in ROWS.items()
                  if key.startswith((f"{name}/{config}/", f"{name}/{name}/"))}  # fmt: skip
        if config == "generation":
            rows = ROWS["truthful_qa/multiple_choice/validation"]
            splits = {"validation": [{"question": r["question"], "category": "Law"} for r in rows]}
        return datasets.DatasetDict(
            {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}
        )

    monkeypatch.setattr(datasets, "load_dataset", load)


@pytest.fixture
def make(rows_folder: Path) -> Any:
    """Makes a mended benchmark on the local rows."""

    def made(kind: type[Benchmark], *tasks: str, **options: Any) -> Benchmark:
        return kind(BenchmarkData(str(rows_folder)), Options(tasks, **options))

    return made


def asked(question: BenchmarkQuestion, way: str = "letters") -> Ranked:
    found = question.ways[way]
    assert isinstance(found, Ranked)
    return found


def opened(question: BenchmarkQuestion) -> Open:
    found = question.ways["written"]
    assert isinstance(found, Open)
    return found


LAW, ETHICS = "professional_law", "business_ethics"
KIND = "Categorical Reasoning"


def test_every_mmlu_task_gets_its_own_few_shot_examples(make: Any) -> None:
    questions = make(choice.Mmlu, LAW, ETHICS).questions()
    ethics = next(q for q in questions if q.task == ETHICS)
    assert asked(ethics).examples.count("ethics question") == 5
    assert "law question" not in asked(ethics).examples

    original = Recorder()
    MMLU(tasks=[MMLUTask(LAW), MMLUTask(ETHICS)], n_problems_per_task=1).evaluate(original)
    assert original.prompts[1].count("law question") == 5


def whole(question: BenchmarkQuestion) -> str:
    way = question.ways.get("letters") or question.ways["written"]
    return way.examples + (way.question if isinstance(way, Open) else way.pairs[0][0])


@pytest.mark.parametrize(
    ("original", "ours", "tasks"),
    [
        (lambda: MMLU(tasks=[MMLUTask(LAW)]), choice.Mmlu, (LAW,)),
        (lambda: HellaSwag(tasks=[HellaSwagTask("High jump")]), choice.Hellaswag, ()),
        (lambda: BoolQ(n_problems=2), choice.Boolq, ()),
        (lambda: Winogrande(n_problems=1), choice.Winogrande, ()),
        (lambda: MathQA(tasks=[MathQATask("general")]), choice.Mathqa, ()),
        (lambda: LogiQA(tasks=[LogiQATask(KIND)], dataset=_of_kind()), choice.Logiqa, (KIND,)),
        (lambda: IFEval(n_problems=1), written.Ifeval, ()),
        (lambda: BigBenchHard(tasks=[BigBenchHardTask("snarks")], enable_cot=False),
         written.BigBench, ("snarks",)),
    ],
)  # fmt: skip
def test_prompts_are_deepevals_own_letter_by_letter(
    make: Any, original: Any, ours: type[Benchmark], tasks: tuple[str, ...]
) -> None:
    recorder = Recorder()
    original().evaluate(recorder)
    prompts = [whole(question) for question in make(ours, *tasks).questions()]
    assert prompts == [prompt.removesuffix("\nA: ") + "\nA:" if ours is written.BigBench else prompt
                       for prompt in recorder.prompts]  # fmt: skip


def _of_kind() -> list[dict[str, Any]]:
    return [{**row, "type": {KIND: True}} for row in ROWS["baber/logiqa2/logiqa2/test"]]


def test_squads_prompts_are_deepevals_too(make: Any) -> None:
    (question,) = make(written.Squad).questions()
    (row,) = ROWS["rajpurkar/squad/plain_text/validation"]
    asked = SQuADTemplate.format_question(row, include_answer=False)
    assert whole(question) == SQuADTemplate.generate_output(asked, 5)


def test_more_than_256_questions_at_once(make: Any) -> None:
    result = make(choice.Mmlu, LAW).evaluate(ByRule(lambda one: one.gold[0]))
    assert result.overall_accuracy == 1.0

    with pytest.raises(ValueError, match="same number of generations"):
        MMLU(tasks=[MMLUTask(LAW)]).evaluate(Recorder(), batch_size=300)


def test_a_task_without_questions_is_said(make: Any) -> None:
    with pytest.raises(DataError, match="there are no questions of task 'Baking cookies'"):
        make(choice.Hellaswag, "Baking cookies").questions()

    empty = datasets.DatasetDict({"validation": datasets.Dataset.from_list([ROWS[
        "ucinlp/drop/default/validation"][0]]), "train": datasets.Dataset.from_list([ROWS[
        "ucinlp/drop/default/train"][0]])})  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        DROP(tasks=[DROPTask.HISTORY_1418], n_shots=0, dataset=empty).evaluate(Recorder())


def test_arc_is_tested_on_the_test_split_with_any_labels(make: Any) -> None:
    questions = make(choice.Arc, "challenge").questions()
    assert [q.id for q in questions] == ["challenge/0", "challenge/1", "challenge/2"]
    right = [asked(q).pairs[asked(q).gold[0]][1] for q in questions]
    assert right == ["C", "2", "E"]

    goldens = ARC(mode=ARCMode.CHALLENGE).load_benchmark_dataset(ARCMode.CHALLENGE)
    assert [golden.input[:14] for golden in goldens] == ["Which thing 90"]


def test_accuracy_is_divided_by_the_questions_there_are(make: Any) -> None:
    ours = make(choice.Arc, "challenge")
    assert ours.evaluate(ByRule(lambda one: one.gold[0])).overall_accuracy == 1.0

    rows = datasets.Dataset.from_list([arc for arc in ROWS["ai2_arc/ARC-Challenge/test"][:1]])
    original = ARC(mode=ARCMode.CHALLENGE)
    original.challenge_dataset = {"train": rows.map(lambda row: {**row, "answerKey": "D"})}
    assert original.evaluate(Recorder()).overall_accuracy == 1 / 1172


def test_mc2_is_a_share_of_probability(make: Any) -> None:
    uniform = make(choice.TruthfulQa, "mc2")
    score = uniform.evaluate(ByRule(lambda one: -1)).overall_accuracy
    assert score == pytest.approx(0.5)

    original = TruthfulQA(tasks=[TruthfulQATask.LAW], mode=TruthfulQAMode.MC2)
    score = original.evaluate(Recorder("[1, 2, 3, 4]")).overall_accuracy
    assert score == 100  # for a model that calls everything true


def test_the_right_answers_position_follows_from_nothing(make: Any) -> None:
    positions = [asked(q).gold for q in make(choice.TruthfulQa, "mc1").questions()]
    assert len(set(positions)) > 1
    assert positions == [asked(q).gold for q in make(choice.TruthfulQa, "mc1").questions()]

    goldens = TruthfulQA(tasks=[TruthfulQATask.LAW]).load_benchmark_dataset(
        TruthfulQATask.LAW, TruthfulQAMode.MC1
    )
    assert len({golden.expected_output for golden in goldens}) == 1


def test_drops_few_shot_examples_carry_their_answers(make: Any) -> None:
    (question,) = make(written.Drop, "nfl_649").questions()
    assert re.findall(r"Answer: (.*)", opened(question).examples) == [
        "0,000", "1,000", "2,000", "3,000", "4,000"]  # fmt: skip

    original = Recorder("none")
    DROP(tasks=[DROPTask.NFL_649]).evaluate(original)
    assert not re.search(r"Answer: \S", original.prompts[0])
    without = re.sub(r"(Answer: ).*\n", r"\1", whole(question))
    assert without == original.prompts[0]


def test_a_function_passes_only_if_its_test_does(make: Any) -> None:
    benchmark = make(written.Humaneval)
    question, _ = benchmark.questions()
    assert benchmark.grade(question, "    return 2 * x\n")[1] == {"written": 1.0}
    assert benchmark.grade(question, "    return 3 * x\n")[1] == {"written": 0.0}

    original = HumanEval(n=1, dataset=datasets.load_dataset("openai_humaneval"))
    task = HumanEvalTask.HAS_CLOSE_ELEMENTS
    golden = type("Golden", (), {"input": "", "expected_output": "def check(c):\n assert False"})()
    wrong = Recorder("def has_close_elements(): return 'nonsense'")
    assert original.predict(wrong, task, golden, 1)["score"] == 1.0


def test_two_functions_of_one_name_are_two_questions(make: Any) -> None:
    first, second = make(written.Humaneval).questions()
    assert first.id != second.id
    assert first.row["test"] != second.row["test"]


def test_a_question_of_two_kinds_counts_for_each(make: Any) -> None:
    kinds = (KIND, "Conjunctive Reasoning")
    questions = make(choice.Logiqa, *kinds).questions()
    assert [q.task for q in questions] == [kinds[0], kinds[0], kinds[1]]
    assert len({q.id for q in questions}) == 3
    assert len(make(choice.Logiqa).questions()) == 2


def test_gsm8k_can_be_evaluated(make: Any) -> None:
    ours = make(written.Gsm8k)
    text = " Add up.\n**Answer**: $1,200.\n\n**Problem**: what is 7?"
    assert ours.evaluate(ByRule(lambda _: 0, text)).overall_accuracy == 1.0
    assert ours.evaluate(ByRule(lambda _: 0, "12 and 1200.00")).overall_accuracy == 1.0
    assert ours.evaluate(ByRule(lambda _: 0, "1200, no, 12")).overall_accuracy == 0.0

    original = Recorder("1200")
    GSM8K(n_problems=1).evaluate(original)
    assert original.prompts[0].endswith("Let's think step-by-step.")  # and then a bare number


def test_few_shot_examples_of_bbq_end_their_lines(make: Any) -> None:
    (question,) = make(choice.Bbq, "Age").questions()
    assert asked(question).examples.count("\n\nContext:") == 4

    goldens = Recorder()
    BBQ(tasks=[task for task in _bbq_tasks() if task.value == "Age"]).evaluate(goldens)
    assert "\nContext:" not in goldens.prompts[0]


def _bbq_tasks() -> Any:
    from deepeval.benchmarks.bbq.task import BBQTask

    return BBQTask


def test_nothing_stands_between_target_word_and_its_answer(make: Any) -> None:
    (question,) = make(written.Lambada).questions()
    assert opened(question).question.endswith("Target Word:")
    assert opened(question).accepted == ("mill",)
    assert asked(question, "texts").pairs[0][1] == " mill"

    original = Recorder("mill")
    LAMBADA(n_problems=1).evaluate(original)
    assert not original.prompts[0].endswith("Target Word:")


def test_a_passage_of_one_sentence_is_ranked_only(rows_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(rows_folder, tmp_path / "rows")
    row = {"text": "Ann went to the river and there she saw the old mill"}
    file = path_of(tmp_path / "rows", "EleutherAI/lambada_openai/default/test")
    file.write_text(json.dumps(row) + "\n")
    (question,) = written.Lambada(BenchmarkData(str(tmp_path / "rows")), Options()).questions()
    assert list(question.ways) == ["texts"]

    with pytest.raises(AttributeError):
        LAMBADA(n_problems=1, dataset={"test": [row]}).evaluate(Recorder("mill"))


def test_every_benchmark_asks_what_it_should(make: Any) -> None:
    """The right candidate or answer of the first question of each."""
    right = {}
    for kind, tasks in (
        (choice.Hellaswag, ()), (choice.Boolq, ()), (choice.Winogrande, ()), (choice.Mathqa, ()),
        (choice.Logiqa, ()), (choice.Bbq, ("Age",)), (written.BigBench, ("navigate",)),
        (written.Squad, ()),
    ):  # fmt: skip
        question = make(kind, *tasks).questions()[0]
        for way, one in question.ways.items():
            right[kind.name, way] = (
                one.accepted if isinstance(one, Open) else one.pairs[one.gold[0]][1]
            )
    assert right == {
        ("hellaswag", "letters"): " A", ("hellaswag", "texts"): " eats.",
        ("boolq", "letters"): "Yes", ("boolq", "texts"): " yes",
        ("winogrande", "letters"): "B", ("winogrande", "texts"): " had helped.",
        ("mathqa", "letters"): " e", ("mathqa", "texts"): " none",
        ("logiqa", "letters"): "B", ("logiqa", "texts"): " b",
        ("bbq", "letters"): "C", ("bbq", "texts"): " unknown",
        ("bbh", "letters"): " No", ("squad", "written"): ("1066", "in 1066"),
    }  # fmt: skip


def test_big_bench_tasks_are_ranked_where_answers_can_be_listed(make: Any) -> None:
    (sarcasm,) = make(written.BigBench, "snarks").questions()
    assert [candidate for _, candidate in asked(sarcasm).pairs] == [" (A)", " (B)"]
    benchmark = make(written.BigBench, "word_sorting")
    (sorting,) = benchmark.questions()
    assert benchmark.grade(sorting, " a  b\n")[1] == {"written": 1.0}


def test_written_answers_are_scored_without_a_judge(make: Any) -> None:
    squad, ifeval = make(written.Squad), make(written.Ifeval)
    (question,) = squad.questions()
    assert squad.grade(question, " In 1066.")[1] == {"written": 1.0, "written_f1": 1.0}
    assert squad.grade(question, " the year 1066")[1]["written_f1"] == pytest.approx(2 / 3)
    (rule,) = ifeval.questions()
    assert ifeval.grade(rule, "no commas here")[1] == {"written": 1.0, "written_share": 1.0}
    assert ifeval.grade(rule, "no, commas")[1]["written"] == 0.0


def test_wrong_names_and_numbers_are_said_with_the_right_ones(make: Any) -> None:
    with pytest.raises(SettingsError, match=r"mmlu has no task 'law'; valid: .*professional_law"):
        make(choice.Mmlu, "law")
    with pytest.raises(SettingsError, match=r"did you mean professional_law\? valid: "):
        make(choice.Mmlu, "profesional_law")
    with pytest.raises(SettingsError, match="boolq has no tasks; name it alone: boolq"):
        make(choice.Boolq, "law")
    with pytest.raises(SettingsError, match="shots = 9: mmlu takes at most 5"):
        make(choice.Mmlu, LAW, shots=9)
    with pytest.raises(DataError, match=r"12 few-shot examples .* there are 6|15 .* there are 12"):
        make(choice.Hellaswag, shots=15).questions()
    assert HellaSwagTask("High jump").value in choice.Hellaswag.task_names()


def test_missing_files_and_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"benchmark\.data: there is no folder .*nowhere"):
        choice.Boolq(BenchmarkData(str(tmp_path / "nowhere")), Options()).questions()
    data = BenchmarkData(str(tmp_path))
    with pytest.raises(DataError, match=r"there is no .*boolq/default/validation.jsonl") as absent:
        choice.Boolq(data, Options()).questions()
    assert "it needs boolq/default with the hub's rows" in absent.value.hint
    path = tmp_path / "boolq/default/validation.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"question": "q", "answer": true}\n')
    with pytest.raises(DataError, match="has no column 'passage'") as caught:
        choice.Boolq(data, Options()).questions()
    assert "question, passage, answer" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "key", "change", "said"),
    [
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"answer": 7}, "answer = 7: Input"),
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"answer": -1}, "answer = -1: Input"),
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"answer": "B"}, "answer = 'B': Input"),
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"answer": None}, "answer = None: Input"),
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"choices": ["a"]}, "choices = ['a']:"),
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"choices": "abcd"}, "choices = 'abcd':"),
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"question": None}, "question = None:"),
        (choice.Mmlu, "cais/mmlu/business_ethics/test", {"question": "\ud83d"}, "question = "),
        (choice.Arc, "ai2_arc/ARC-Challenge/test", {"answerKey": "F"}, "answerKey 'F' is none of"),
        (choice.TruthfulQa, "truthful_qa/multiple_choice/validation",
         {"mc1_targets": {"choices": ["a", "b"], "labels": [0, 0]}}, "one of them must be 1"),
        (choice.Winogrande, "allenai/winogrande/winogrande_xs/validation",
         {"sentence": "No gap."}, "sentence = 'No gap.'"),
        (written.Gsm8k, "gsm8k/main/test", {"answer": "1,200"}, "answer = '1,200'"),
        (written.Lambada, "EleutherAI/lambada_openai/default/test", {"text": "word"}, "text = 'wo"),
        (written.Squad, "rajpurkar/squad/plain_text/validation",
         {"answers": {"text": []}}, "answers.text = []"),
        (written.Ifeval, "google/IFEval/default/train", {"kwargs": []}, "of different length"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_named_with_its_place(
    rows_folder: Path, tmp_path: Path, kind: type[Benchmark], key: str, change: Any, said: str
) -> None:
    shutil.copytree(rows_folder, tmp_path / "rows")
    file = path_of(tmp_path / "rows", key)
    rows = [{**row, **change} if n == 0 else row for n, row in enumerate(ROWS[key])]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = {"mmlu": (ETHICS,), "arc": ("challenge",), "truthfulqa": ("mc1",)}
    made = kind(BenchmarkData(str(tmp_path / "rows")), Options(tasks.get(kind.name, ())))
    with pytest.raises(DataError) as caught:
        made.questions()
    assert caught.value.message.startswith(f"{file}:1: ")
    assert said in caught.value.message


def test_options_that_cannot_be_told_apart_are_asked_by_letter_only(
    rows_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(rows_folder, tmp_path / "rows")
    (row,) = ROWS["regisss/math_qa/default/test"]
    file = path_of(tmp_path / "rows", "regisss/math_qa/default/test")
    file.write_text(json.dumps({**row, "options": "1, 2, 3, 4, none"}) + "\n")
    (question,) = choice.Mathqa(BenchmarkData(str(tmp_path / "rows")), Options()).questions()
    assert list(question.ways) == ["letters"]
