"""The answers to a benchmark's questions as parts that workers share.

A part is batched by itself, so what a model answers does not depend on who asks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.contract.results.benchmark_questions import AnswerStore, BenchmarkAnswer
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.evaluation.benchmarks.answering import AnsweringModel, Item, phase_of, ways_asked
from pipeline.evaluation.benchmarks.benchmark import Benchmark
from pipeline.evaluation.questions import BenchmarkQuestion, Open, Ranked
from pipeline.sharing.stage import Sharing, own_parts
from pipeline.sharing.work import Part, digest

PART = 256
"""Answers of a part: many batches, so that a part of them costs hardly more than all at once."""


class AnswerParts:
    """Work in parts, see `sharing.work.Work`: a model's answers to one benchmark."""

    unit = "answers"

    def __init__(
        self,
        benchmark: Benchmark,
        questions: Sequence[BenchmarkQuestion],
        model: AnsweringModel,
        settings: Settings,
        run: RunDir,
    ) -> None:
        self._benchmark, self._model, self._settings = benchmark, model, settings
        name = model.get_model_name()
        self.phase, self.folder = phase_of(benchmark.name, name), Path()
        self._store = AnswerStore(run, benchmark.name, name)
        self._answers = self._store.read()
        self._items = [(q, way) for q in questions for way in ways_asked(q, settings.benchmark.ask)]
        self._done = sum(_key(item) in self._answers for item in self._items)
        # of one way after the other: ways differ in their few-shot examples, which are read once
        ways = dict.fromkeys(way for _, way in self._items)
        self._in_order = [item for way in ways for item in self._items if item[1] == way]

    @property
    def parts(self) -> list[Part]:
        """Each has the next so many answers."""
        return [(number, 0) for number in range(-(-len(self._items) // PART))]

    @property
    def total(self) -> int:
        """One answer for each way of each question."""
        return len(self._items)

    def id(self, tokens: int) -> str:
        """Names the questions with all that is put to the model."""
        asked = hashlib.sha256()
        for question, way in self._in_order:
            asked.update(repr((question.id, way, question.ways[way])).encode())
        return digest([self.phase, PART, asked.hexdigest()])

    def has(self, part: Part) -> bool:
        """Whether all of the part's answers are kept."""
        return not self._waiting(part)

    def begin(self, shared: Path) -> None:
        """Nothing is to be put down: the settings name the questions."""
        self.folder = shared

    def collected(self, part: Part) -> None:
        """Keeps another worker's answers."""
        found = self._store.at(self.file(part)).read().values()
        wanted = {_key(item) for item in self._waiting(part)}
        self._keep([answer for answer in found if (answer.question, answer.way) in wanted])

    def file(self, part: Part) -> Path:
        """What another worker publishes, and the stage collects."""
        return self.folder / f"answers_{part[0]}.jsonl"

    def answer(self, sharing: Sharing | None, events: EventWriter) -> list[BenchmarkAnswer]:
        """Does this process's share of the answers that are not kept yet; all of them, in the
        questions' order."""

        def tell() -> None:
            events.progress(self._done, self.total, self.unit, self.phase)

        tell()
        with own_parts(self, sharing, self._settings, lambda _: tell()) as mine:
            for part in mine:
                for answer in self._answered(part):
                    self._keep([answer])
                    tell()
        tell()
        return [self._answers[_key(item)] for item in self._items]

    def help(self, sharing: Sharing) -> None:
        """Answers parts for a stage elsewhere, and publishes them."""
        with own_parts(self, sharing, self._settings, lambda _: None) as mine:
            for part in mine:
                self._store.at(sharing.place(self.file(part))).add(list(self._answered(part)))

    def _keep(self, answers: Sequence[BenchmarkAnswer]) -> None:
        """Keeps answers that were waited for."""
        self._store.add(answers)
        self._done += len(answers)
        self._answers.update({(answer.question, answer.way): answer for answer in answers})

    def _waiting(self, part: Part) -> list[Item]:
        """The questions of the part that are not answered yet."""
        start = part[0] * PART
        items = self._in_order[start : start + PART]
        return [item for item in items if _key(item) not in self._answers]

    def _answered(self, part: Part) -> Iterator[BenchmarkAnswer]:
        """Answers what waits, as batches finish."""
        items, most = self._waiting(part), self._settings.benchmark.max_new_tokens
        for way in dict.fromkeys(way for _, way in items):
            same = [item for item in items if item[1] == way]
            yield from self._model.ranked([i for i in same if isinstance(i[0].ways[way], Ranked)])
            written = [item for item in same if isinstance(item[0].ways[way], Open)]
            yield from self._model.written(written, self._benchmark, most)


def _key(item: Item) -> tuple[str, str]:
    """The question and the way that it is put in."""
    return item[0].id, item[1]
