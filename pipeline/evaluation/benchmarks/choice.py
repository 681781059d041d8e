"""Benchmarks that are answered by choosing: DeepEval's prompts for the letters, and those of
EleutherAI's lm-evaluation-harness for the options' own texts."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from deepeval.benchmarks import ARC, BBQ, MMLU, BoolQ, HellaSwag, LogiQA, MathQA, TruthfulQA
from deepeval.benchmarks import Winogrande as DeepEvalWinogrande
from deepeval.benchmarks.arc.mode import ARCMode
from deepeval.benchmarks.arc.template import ARCTemplate
from deepeval.benchmarks.bbq.task import BBQTask
from deepeval.benchmarks.bbq.template import BBQTemplate
from deepeval.benchmarks.bool_q.template import BoolQTemplate
from deepeval.benchmarks.hellaswag.task import HellaSwagTask
from deepeval.benchmarks.hellaswag.template import HellaSwagTemplate
from deepeval.benchmarks.logi_qa.task import LogiQATask
from deepeval.benchmarks.logi_qa.template import LogiQATemplate
from deepeval.benchmarks.math_qa.task import MathQATask
from deepeval.benchmarks.math_qa.template import MathQATemplate
from deepeval.benchmarks.mmlu.task import MMLUTask
from deepeval.benchmarks.mmlu.template import MMLUTemplate
from deepeval.benchmarks.truthful_qa.mode import TruthfulQAMode
from deepeval.benchmarks.truthful_qa.template import TruthfulQATemplate
from deepeval.benchmarks.winogrande.template import WinograndeTemplate

from pipeline.evaluation.benchmarks.benchmark import Benchmark, FewShots, ranked, spaced
from pipeline.evaluation.data import Record
from pipeline.evaluation.layouts import (
    ArcRow,
    BbqRow,
    BoolqRow,
    HellaswagRow,
    LogiqaRow,
    MathqaRow,
    MmluRow,
    TruthfulQaRow,
    WinograndeRow,
)
from pipeline.evaluation.questions import BenchmarkQuestion, Ranked

LETTERS = "ABCD"


class Mmlu(Benchmark, MMLU):  # type: ignore[misc]
    """Every task gets its own few-shot examples; the original gives the first task's to all."""

    name = "mmlu"
    usual_shots = most_shots = 5
    one_file = False

    @classmethod
    def task_names(cls) -> list[str]:
        """57 subjects."""
        return [task.value for task in MMLUTask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split, with shots from the same subject's dev split."""
        about = MMLUTemplate.format_subject(task)

        def examples(first: list[Record]) -> tuple[str, str]:
            lettered = (
                f"The following are multiple choice questions (with answers) about{about}.\n\n"
            )
            lettered += "".join(MMLUTemplate.format_question(row) for row in first)
            worded = f"The following are questions (with answers) about{about}.\n\n"
            worded += "".join(
                f"{_asked(row['question'].strip())} {row['choices'][row['answer']]}\n\n"
                for row in first
            )
            return lettered, worded

        dev = self.data.rows("cais/mmlu", task, "dev", MmluRow)
        few = FewShots(dev, self.n_shots, task, examples)
        for number, row in enumerate(self.data.rows("cais/mmlu", task, "test", MmluRow)):
            lettered, worded = few.of(row)
            gold = int(row["answer"])
            question = MMLUTemplate.format_question(row, include_answer=False)
            text = _asked(row["question"].strip())
            ways = {
                "letters": ranked(lettered, question, spaced(LETTERS), gold),
                "texts": ranked(worded, text, spaced(row["choices"]), gold, by_length=True),
            }
            yield BenchmarkQuestion(f"{task}/{number}", task, dict(ways))


class Hellaswag(Benchmark, HellaSwag):  # type: ignore[misc]
    """All activities in the file's order, unless some are named."""

    name = "hellaswag"
    usual_shots, most_shots = 10, 15

    @classmethod
    def task_names(cls) -> list[str]:
        """192 activities."""
        return [task.value for task in HellaSwagTask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The validation split, with shots of unlike activities from the train split."""
        train = (
            self.data.rows("Rowan/hellaswag", "default", "train", HellaswagRow)
            if self.n_shots
            else []
        )
        unlike = {row["activity_label"]: row for row in reversed(train)}  # the first of each
        in_order = [row for row in train if unlike[row["activity_label"]] is row]

        def render(first: list[Record]) -> tuple[list[Record], str, str]:
            lettered = "".join(HellaSwagTemplate.format_question(row) for row in first)
            scenes = [(_scene(row), _cleaned(row["endings"][int(row["label"])])) for row in first]
            return first, lettered, "".join(f"{scene} {end}\n\n" for scene, end in scenes)

        few = FewShots(in_order, self.n_shots, "hellaswag", render)
        for number, row in enumerate(
            self.data.rows("Rowan/hellaswag", "default", "validation", HellaswagRow)
        ):
            label = row["activity_label"]
            if task in ("", label):
                first, lettered, worded = few.of(row)
                header = HellaSwagTemplate.generate_output("", first, _Named(label), 0)
                question = HellaSwagTemplate.format_question(row, include_answer=False)
                endings = spaced(_cleaned(ending) for ending in row["endings"])
                gold = int(row["label"])
                ways = {
                    "letters": ranked(header + lettered, question, spaced(LETTERS), gold),
                    "texts": ranked(worded, _scene(row), endings, gold, by_length=True),
                }
                yield BenchmarkQuestion(str(number), label, dict(ways))


class _Named:
    """Stands in for a task of DeepEval's whose enumeration lacks the name."""

    def __init__(self, value: str) -> None:
        self.value = value


class TruthfulQa(Benchmark, TruthfulQA):  # type: ignore[misc]
    """mc1: which answer is true; mc2: the share of probability that true answers get.

    The original shuffles every question with the same seed, so that the position of the right
    answer follows from the number of answers, and gives a model 100 in mc2 for listing all of them.
    """

    name = "truthfulqa"
    adds_up = False
    one_file = False

    @classmethod
    def task_names(cls) -> list[str]:
        """The two scorings."""
        return ["mc1", "mc2"]

    @classmethod
    def usual_tasks(cls) -> list[str]:
        """mc2 only when it is named."""
        return ["mc1"]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The validation split; six fixed examples stand before every question."""
        rows = self.data.rows("truthful_qa", "multiple_choice", "validation", TruthfulQaRow)
        for number, row in enumerate(rows):
            targets = row[f"{task}_targets"]
            gold = tuple(n for n, label in enumerate(targets["labels"]) if label == 1)
            pairs = tuple((_q_and_a(row), f" {choice}") for choice in targets["choices"])
            texts = Ranked(_PRESET, pairs, gold, mass=task == "mc2")
            ways = {"letters": self._numbered(row)} if task == "mc1" else {}
            yield BenchmarkQuestion(f"{task}/{number}", task, {**ways, "texts": texts})

    def _numbered(self, row: Record) -> Ranked:
        """DeepEval's prompt, the options in an order of their own for every question."""
        targets = row["mc1_targets"]
        order = list(range(len(targets["choices"])))
        random.Random(f"{self.options.seed} {row['question']}").shuffle(order)
        listed = [f"\n{n}. {targets['choices'][position]}" for n, position in enumerate(order, 1)]
        whole = TruthfulQATemplate.generate_output("", TruthfulQAMode.MC1)
        question = f"Q: {row['question']}{''.join(listed)}\nA: "
        numbers = [str(n) for n, _ in enumerate(order, 1)]
        return ranked(whole, question, numbers, order.index(targets["labels"].index(1)))


_PRESET = (
    "\n".join(line.strip() for line in TruthfulQATemplate.examples.strip().splitlines()) + "\n\n"
)


def _q_and_a(row: Record) -> str:
    return f"Q: {row['question']}\nA:"


class Arc(Benchmark, ARC):  # type: ignore[misc]
    """Tested on the test split with any labels; the original tests on "train", from which its
    few-shot examples come, allows A to D only, and divides by the number asked for."""

    name = "arc"
    adds_up = False
    usual_shots = most_shots = 5
    one_file = False

    @classmethod
    def task_names(cls) -> list[str]:
        """The two sets."""
        return ["easy", "challenge"]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split; DeepEval's own examples, which are of the train split."""
        config = (ARCMode.EASY if task == "easy" else ARCMode.CHALLENGE).value
        rows = self.data.rows("ai2_arc", config, "test", ArcRow)
        first = ARCTemplate.n_shot_examples[: self.n_shots]
        lettered = "".join(ARCTemplate.format_question(row) for row in first)
        worded = "".join(
            f"{_asked(row['question'])} {row['choices']['text'][_arc_gold(row)]}\n\n"
            for row in first
        )
        for number, row in enumerate(rows):
            question = ARCTemplate.format_question(row, include_answer=False)
            labels, texts = row["choices"]["label"], spaced(row["choices"]["text"])
            gold = _arc_gold(row)
            ways = {
                "letters": ranked(lettered, question, labels, gold),
                "texts": ranked(worded, _asked(row["question"]), texts, gold, by_length=True),
            }
            yield BenchmarkQuestion(f"{task}/{number}", task, dict(ways))


def _arc_gold(row: Record) -> int:
    position: int = row["choices"]["label"].index(row["answerKey"])
    return position


class Boolq(Benchmark, BoolQ):  # type: ignore[misc]
    """Yes or no about a passage."""

    name = "boolq"
    usual_shots = most_shots = 5

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The validation split; five fixed examples."""
        rows = self.data.rows("boolq", "default", "validation", BoolqRow)
        lettered = BoolQTemplate.generate_output("", self.n_shots)
        for number, row in enumerate(rows):
            asked = f"{row['passage']}\nQuestion: {row['question']}?\nAnswer:"
            ways = {
                "letters": ranked(
                    lettered,
                    BoolQTemplate.format_question(row),
                    ("No", "Yes"),
                    int(bool(row["answer"])),
                ),
                "texts": ranked("", asked, (" no", " yes"), int(bool(row["answer"]))),
            }
            yield BenchmarkQuestion(str(number), "boolq", dict(ways))


class Winogrande(Benchmark, DeepEvalWinogrande):  # type: ignore[misc]
    """Which of two names fills the gap."""

    name = "winogrande"
    usual_shots = most_shots = 5

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The validation split. Texts: each name fills the gap, and what follows is compared."""
        rows = self.data.rows("allenai/winogrande", "winogrande_xs", "validation", WinograndeRow)
        lettered = WinograndeTemplate.generate_output("", self.n_shots)
        for number, row in enumerate(rows):
            gold = int(row["answer"]) - 1
            before, after = row["sentence"].split("_", 1)
            filled = tuple((before + row[option], f" {after.strip()}") for option in
                           ("option1", "option2"))  # fmt: skip
            question = WinograndeTemplate.format_question(row, include_answer=False)
            ways = {
                "letters": ranked(lettered, question, ("A", "B"), gold),
                "texts": Ranked("", filled, (gold,)),
            }
            yield BenchmarkQuestion(str(number), "winogrande", dict(ways))


class Mathqa(Benchmark, MathQA):  # type: ignore[misc]
    """Five options, a to e."""

    name = "mathqa"
    usual_shots = most_shots = 5

    @classmethod
    def task_names(cls) -> list[str]:
        """Six categories."""
        return [task.value for task in MathQATask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split; five fixed examples."""
        rows = self.data.rows("regisss/math_qa", "default", "test", MathqaRow)
        lettered = MathQATemplate.generate_output("", self.n_shots)
        for number, row in enumerate(rows):
            if task in ("", row["category"]):
                gold = "abcde".index(row["correct"])
                question = MathQATemplate.format_question(row, include_answer=False)
                texts = spaced(_math_options(row["options"]))
                ways = {"letters": ranked(lettered, question, spaced("abcde"), gold)}
                if len(texts) == 5:  # else they are not told apart
                    asked = _asked(row["Problem"])
                    ways["texts"] = ranked("", asked, texts, gold, by_length=True)
                yield BenchmarkQuestion(str(number), row["category"], dict(ways))


def _math_options(options: str) -> list[str]:
    """ "a ) 1 , b ) 2, 3" → "1", "2, 3"; a comma within an option is not its end."""
    texts = re.split(r"(?:^|\s*,\s*)[a-e] \) ", options)
    return [option.strip() for option in texts if option.strip()]


class Logiqa(Benchmark, LogiQA):  # type: ignore[misc]
    """Four options about an article."""

    name = "logiqa"
    adds_up = False
    usual_shots = most_shots = 5

    @classmethod
    def task_names(cls) -> list[str]:
        """Five kinds of reasoning; a question may be of several."""
        return [task.value for task in LogiQATask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split; five fixed examples."""
        rows = self.data.rows("baber/logiqa2", "logiqa2", "test", LogiqaRow)
        lettered = LogiQATemplate.generate_output("", self.n_shots)
        for number, row in enumerate(rows):
            kinds = [kind for kind, holds in row["type"].items() if holds]
            if not task or task in kinds:
                gold = int(row["answer"])
                article = f"Passage: {row['text']}\nQuestion: {row['question']}\nAnswer:"
                ways = {
                    "letters": ranked(lettered, LogiQATemplate.format_question(row), LETTERS, gold),
                    "texts": ranked("", article, spaced(row["options"]), gold, by_length=True),
                }
                name = f"{task}/{number}" if task else str(number)  # it may be of two kinds
                yield BenchmarkQuestion(name, task or "logiqa", dict(ways))


class Bbq(Benchmark, BBQ):  # type: ignore[misc]
    """Three options, one of which says that it cannot be known.

    The original's few-shot examples run into each other without a line end.
    """

    name = "bbq"
    usual_shots = most_shots = 5
    one_file = False

    @classmethod
    def task_names(cls) -> list[str]:
        """Eleven groups."""
        return [task.value for task in BBQTask]

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        """The test split; five fixed examples."""
        first = BBQTemplate.n_shot_examples[: self.n_shots]
        lettered = "".join(f"{BBQTemplate.format_question(row)}\n\n" for row in first)
        for number, row in enumerate(self.data.rows("heegyu/bbq", task, "test", BbqRow)):
            question = BBQTemplate.format_question(row, include_answer=False)
            text = f"Context: {row['context']}\n{_asked(row['question'])}"
            texts, gold = spaced(row[f"ans{n}"] for n in range(3)), int(row["label"])
            ways = {
                "letters": ranked(lettered, question, "ABC", gold),
                "texts": ranked("", text, texts, gold, by_length=True),
            }
            yield BenchmarkQuestion(f"{task}/{number}", task, dict(ways))


def _asked(question: str) -> str:
    return f"Question: {question}\nAnswer:"


def _cleaned(text: str) -> str:
    """Without WikiHow's "[title]" and such, as lm-evaluation-harness does it."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _scene(row: Record) -> str:
    """The scene so far; its second part is a sentence that the endings end."""
    parts = f"{row['ctx_a']} {row['ctx_b'].capitalize()}" if row["ctx_a"] else row["ctx"]
    return _cleaned(f"{row['activity_label']}: {parts}")
