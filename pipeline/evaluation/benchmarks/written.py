"""Benchmarks that are answered in words, scored without a judge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from deepeval.benchmarks import (
    DROP,
    GSM8K,
    LAMBADA,
    BigBenchHard,
    HumanEval,
    IFEval,
    SQuAD,
)
from deepeval.benchmarks.big_bench_hard.task import BigBenchHardTask
from deepeval.benchmarks.big_bench_hard.template import BigBenchHardTemplate
from deepeval.benchmarks.drop.task import DROPTask
from deepeval.benchmarks.drop.template import DROPTemplate
from deepeval.benchmarks.gsm8k.template import GSM8KTemplate
from deepeval.benchmarks.human_eval.task import HumanEvalTask
from deepeval.benchmarks.lambada.template import LAMBADATemplate
from deepeval.benchmarks.schema import bbh_models_dict
from deepeval.benchmarks.squad.squad import SQuADTemplate
from deepeval.benchmarks.squad.task import SQuADTask
from deepeval.scorer import Scorer

from pipeline.contract.words import answer_words
from pipeline.evaluation.benchmarks.benchmark import Benchmark, FewShots, ranked
from pipeline.evaluation.data import Record
from pipeline.evaluation.instructions import kept
from pipeline.evaluation.layouts import (
    BigBenchRow,
    DropRow,
    Gsm8kRow,
    HumanevalRow,
    IfevalRow,
    LambadaRow,
    SquadRow,
)
from pipeline.evaluation.numbers import numbers_in, plain_number, with_spelled_numbers
from pipeline.evaluation.questions import BenchmarkQuestion, Open, Ranked
from pipeline.evaluation.sandbox import Task, passes


class Gsm8k(Benchmark, GSM8K):  # type: ignore[misc]
    """Word problems with worked few-shot examples; the number is taken from the answer's text.

    The original asks a model for a bare number right after "Let's think step-by-step.".
    """

    name = "gsm8k"
    usual_shots, most_shots = 3, 15

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split, with shots from the train split."""
        train = self.data.rows("gsm8k", "main", "train", Gsm8kRow) if self.n_shots else []
        few = FewShots(train, self.n_shots, "gsm8k", self._examples)
        for number, row in enumerate(self.data.rows("gsm8k", "main", "test", Gsm8kRow)):
            examples = few.of(row)
            asked = f"**Problem**: {row['question']}\n**Solution**:"
            accepted = (plain_number(GSM8KTemplate.format_answer(row)),)
            way = Open(examples, asked, accepted, stop=("**Problem**",))
            yield BenchmarkQuestion(str(number), "gsm8k", {"written": way})

    @staticmethod
    def _examples(first: list[Record]) -> str:
        whole = str(GSM8KTemplate.generate_output("", first, len(first), True))
        return whole[: whole.rindex("**Problem**")]

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """The number after "Answer", or else the last one."""
        _, _, answer = written.rpartition("**Answer**")
        numbers = numbers_in(answer)[:1] if answer != written else []
        prediction = next(iter(numbers or numbers_in(written)[-1:]), "")
        return prediction, {"written": float(prediction in _accepted(question))}


class Lambada(Benchmark, LAMBADA):  # type: ignore[misc]
    """The last word of a passage: written after DeepEval's prompt, and ranked as what the model
    would write after the passage itself. The original adds an instruction after "Target Word:"."""

    name = "lambada"
    usual_shots = most_shots = 5

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split; five fixed examples."""
        examples = LAMBADATemplate.generate_output("", self.n_shots)
        rows = self.data.rows("EleutherAI/lambada_openai", "default", "test", LambadaRow)
        for number, row in enumerate(rows):
            passage, _, last = row["text"].rpartition(" ")
            ways: dict[str, Ranked | Open] = {"texts": Ranked("", ((passage, f" {last}"),), (0,))}
            if re.search("[.!?]", row["text"]):  # else the original finds no last sentence
                asked = LAMBADATemplate.format_question(row, include_answer=False)
                ways["written"] = Open(examples, asked, (LAMBADATemplate.format_answer(row),))
            yield BenchmarkQuestion(str(number), "lambada", ways)

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """The first word."""
        words = re.findall(r"[\w'-]+", written)
        prediction = words[0] if words else ""
        return prediction, {"written": float(prediction in _accepted(question))}


class Drop(Benchmark, DROP):  # type: ignore[misc]
    """Reading with numbers. The original's few-shot examples carry no answers."""

    name = "drop"
    usual_shots = most_shots = 5

    @classmethod
    def task_names(cls) -> list[str]:
        """Sections of articles."""
        return [task.value for task in DROPTask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The validation split, with shots of unlike sections from the train split."""
        train = self.data.rows("ucinlp/drop", "default", "train", DropRow) if self.n_shots else []
        unlike = {row["section_id"]: row for row in reversed(train)}
        in_order = [row for row in train if unlike[row["section_id"]] is row]
        few = FewShots(in_order, self.n_shots, "drop", self._examples)
        for number, row in enumerate(
            self.data.rows("ucinlp/drop", "default", "validation", DropRow)
        ):
            if task in ("", row["section_id"]):
                asked = DROPTemplate.format_question(row, include_answer=False)
                way = Open(few.of(row), asked, tuple(row["answers_spans"]["spans"]))
                yield BenchmarkQuestion(str(number), row["section_id"], {"written": way})

    @staticmethod
    def _examples(first: list[Record]) -> str:
        examples = str(DROPTemplate.generate_output("", [], 0))
        examples += "Below are some examples:\n\n" if first else ""
        return examples + "".join(f"{DROPTemplate.format_question(row, True)}\n" for row in first)

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """One of the accepted answers, articles and punctuation aside, numbers by their value, as
        the data set's own script compares them (Dua et al. 2019)."""
        prediction = written.strip()
        accepted = [with_spelled_numbers(answer) for answer in _accepted(question)]
        return prediction, _likeness(with_spelled_numbers(prediction), accepted)


class Squad(Benchmark, SQuAD):  # type: ignore[misc]
    """Reading. The original asks a paid model to judge; here by exact match and token F1, as the
    data set's own script does (Rajpurkar et al. 2016)."""

    name = "squad"
    usual_shots = most_shots = 5

    @classmethod
    def task_names(cls) -> list[str]:
        """Articles."""
        return [task.value for task in SQuADTask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The validation split; five fixed examples."""
        examples = SQuADTemplate.generate_output("", self.n_shots)
        rows = self.data.rows("rajpurkar/squad", "plain_text", "validation", SquadRow)
        for number, row in enumerate(rows):
            if task in ("", row["title"]):
                asked = SQuADTemplate.format_question(row, include_answer=False)
                way = Open(examples, asked, tuple(dict.fromkeys(row["answers"]["text"])))
                yield BenchmarkQuestion(str(number), row["title"], {"written": way})

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """Exact match and F1."""
        return _extractive(question, written)


def _extractive(question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
    prediction = written.strip()
    return prediction, _likeness(prediction, _accepted(question))


def _likeness(prediction: str, accepted: Sequence[str]) -> dict[str, float]:
    exact = Scorer.quasi_contains_score(list(accepted), prediction)
    f1 = max(token_f1(prediction, answer) for answer in accepted)
    return {"written": float(exact), "written_f1": f1}


def token_f1(text: str, expected: str) -> float:
    """F1 of the words that two texts share, as often as they share them; articles aside."""
    ours, theirs = answer_words(text), answer_words(expected)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else float(ours == theirs)


class BigBench(Benchmark, BigBenchHard):  # type: ignore[misc]
    """Ranked where a task's answers can be listed, else written; without chains of thought."""

    name = "bbh"
    usual_shots = most_shots = 3
    one_file = False

    @classmethod
    def task_names(cls) -> list[str]:
        """27 tasks."""
        return [task.value for task in BigBenchHardTask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split; three fixed examples."""
        whole = BigBenchHardTemplate.generate_output(
            "", BigBenchHardTask(task), self.n_shots, enable_cot=False
        )
        examples = whole[: whole.rindex("Q: ")]
        choices = get_args(bbh_models_dict[task].model_fields["answer"].annotation)
        rows = self.data.rows("lukaemon/bbh", task, "test", BigBenchRow)
        for number, row in enumerate(rows):
            asked, target = f"Q: {row['input']}\nA:", row["target"].strip()
            offered = [choice for choice in choices if choice[0] != "(" or choice in row["input"]]
            way: Ranked | Open
            if target in offered:
                way = ranked(examples, asked, [f" {c}" for c in offered], offered.index(target))
                yield BenchmarkQuestion(f"{task}/{number}", task, {"letters": way})
            else:
                way = Open(examples, asked, (target,), stop=("\n\n", "Q:"))
                yield BenchmarkQuestion(f"{task}/{number}", task, {"written": way})

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """Exactly the target, blanks aside."""
        prediction = " ".join(written.split())
        return prediction, {"written": float(prediction in _accepted(question))}


class Ifeval(Benchmark, IFEval):  # type: ignore[misc]
    """Instructions whose keeping a program checks; right = all of them are kept.

    The original knows a third of the hub's instructions by their names and takes most of the
    others for kept, whatever the answer, an empty one too.
    """

    name = "ifeval"

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The one split there is, called train."""
        for number, row in enumerate(
            self.data.rows("google/IFEval", "default", "train", IfevalRow)
        ):
            way = Open("", row["prompt"], (), stop=())
            yield BenchmarkQuestion(str(number), "ifeval", {"written": way}, row=row)

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """Whether all instructions are kept, and the share of them that is."""
        rules = zip(question.row["instruction_id_list"], question.row["kwargs"], strict=True)
        outcomes = [kept(written, name, arguments) for name, arguments in rules]
        share = sum(outcomes) / len(outcomes)
        return written.strip(), {"written": float(all(outcomes)), "written_share": share}


class Humaneval(Benchmark, HumanEval):  # type: ignore[misc]
    """Functions to complete, run against their tests behind a wall of the kernel's.

    One greedy answer a task. The original never calls the test, so that any code that runs passes.
    """

    name = "humaneval"

    @classmethod
    def task_names(cls) -> list[str]:
        """The names of 164 functions, of which a few are two functions'."""
        return [task.value for task in HumanEvalTask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split."""
        rows = self.data.rows("openai_humaneval", "openai_humaneval", "test", HumanevalRow)
        for number, row in enumerate(rows):
            name = row["entry_point"]
            if task in ("", name):
                stop = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(", "\n@")
                way = Open("", row["prompt"], (), stop=stop)
                yield BenchmarkQuestion(f"{name}/{number}", name, {"written": way}, row=row)

    def grade(self, question: BenchmarkQuestion, written: str) -> tuple[str, dict[str, float]]:
        """Whether the completed function passes its test."""
        row, function = question.row, question.row["entry_point"]
        helpers, _, _ = row["prompt"].rpartition(f"def {function}(")
        task = Task(f"{row['prompt']}{written}\n", function, row["test"], helpers)
        return written, {"written": float(passes(task))}


def _accepted(question: BenchmarkQuestion) -> tuple[str, ...]:
    asked = question.ways["written"]
    assert isinstance(asked, Open)
    return asked.accepted
