"""A transformers model that answers benchmark questions.

It is a `DeepEvalBaseLLM`, so DeepEval's own benchmarks can be run with it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

from deepeval.models import DeepEvalBaseLLM
from pydantic import BaseModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.results.benchmark_questions import BenchmarkAnswer
from pipeline.contract.results.generation import ModelName
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.labelling import require_embedded
from pipeline.evaluation.benchmarks.benchmark import Benchmark
from pipeline.evaluation.encoding import (
    DoesNotFitError,
    Request,
    encode,
    encode_open,
)
from pipeline.evaluation.likelihood import Likelihood, likelihoods
from pipeline.evaluation.questions import BenchmarkQuestion, Open, Ranked, graded
from pipeline.generation import generate_continuations
from pipeline.model import (
    context_length,
    embedding_count,
    load_model,
    load_tokenizer,
    select_device,
)

Item = tuple[BenchmarkQuestion, str]
"""A question, and the way in which it is put."""


class AnsweringModel(DeepEvalBaseLLM):  # type: ignore[misc]
    """Ranks candidates by log-likelihood, writes where a question is open."""

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        batch_tokens: int,
        by_template: bool = False,
    ) -> None:
        """`by_template`: questions are put by the tokenizer's chat template."""
        self._loaded = model
        self._tokenizer = tokenizer
        self._batch_tokens = batch_tokens
        self._by_template = by_template
        super().__init__(name)

    def load_model(self) -> PreTrainedModel:
        """The transformers model."""
        return self._loaded

    def get_model_name(self) -> str:
        """What results call it."""
        return str(self.name)

    def generate(self, prompt: str, schema: type[BaseModel] | None = None) -> BaseModel:
        """DeepEval's protocol: the likeliest of the answers that the schema allows."""
        return self.batch_generate([prompt], [schema] if schema else None)[0]

    async def a_generate(self, prompt: str, schema: type[BaseModel] | None = None) -> BaseModel:
        """As `generate`."""
        return self.generate(prompt, schema)

    def batch_generate(
        self, prompts: list[str], schemas: list[type[BaseModel]] | None = None
    ) -> list[BaseModel]:
        """As `generate`, for many prompts.

        Raises:
            NotImplementedError: a schema does not list its answers; DeepEval would take a
                TypeError for a model that cannot answer in a schema.
        """
        if schemas is None:
            raise NotImplementedError("answers are ranked, and only a schema lists them")
        choices = [get_args(schema.model_fields["answer"].annotation) for schema in schemas]
        if not all(choices):
            raise NotImplementedError("the schema does not list the answers that it allows")
        asked = [
            Ranked("", tuple((prompt, _after(prompt, choice)) for choice in listed), (0,))
            for prompt, listed in zip(prompts, choices, strict=True)
        ]
        items = [
            (BenchmarkQuestion(str(n), "", {"letters": one}), "letters")
            for n, one in enumerate(asked)
        ]
        predictions = {answer.question: answer.prediction for answer in self.ranked(items)}
        return [schema(answer=predictions[str(n)]) for n, schema in enumerate(schemas)]

    def ranked(self, items: Sequence[Item]) -> Iterator[BenchmarkAnswer]:
        """Answers ranked questions, in the order in which batches finish."""
        limit = context_length(self._loaded.config)
        requests: list[tuple[int, Request]] = []
        left: dict[int, int] = {}
        for position, (question, way) in enumerate(items):
            asked = _ranked_way(question, way)
            try:
                parts = encode(
                    self._tokenizer,
                    asked.examples,
                    asked.pairs,
                    limit,
                    f"question {question.id}",
                    self._by_template,
                )
            except DoesNotFitError:
                yield BenchmarkAnswer(question.id, way, "", {})
                continue
            for part in parts:
                self._require_embedded(part.context + sum(part.candidates, ()), question)
            left[position] = len(parts)
            requests += [(position, part) for part in parts]
        by_candidate: dict[int, dict[int, Likelihood]] = {position: {} for position in left}
        only = [request for _, request in requests]
        for index, scored in likelihoods(self._loaded, only, self._batch_tokens):
            position, request = requests[index]
            by_candidate[position].update(zip(request.numbers, scored, strict=True))
            left[position] -= 1
            if left[position] == 0:
                question, way = items[position]
                inorder = [by_candidate[position][n] for n in sorted(by_candidate[position])]
                yield graded(question, way, _ranked_way(question, way), inorder, request.cut)

    def written(
        self, items: Sequence[Item], benchmark: Benchmark, max_new_tokens: int
    ) -> Iterator[BenchmarkAnswer]:
        """Answers open questions by greedy decoding, in the order in which batches finish."""
        limit = context_length(self._loaded.config)
        room = None if limit is None else limit - max_new_tokens
        contexts: list[tuple[Item, tuple[int, ...], int]] = []
        for question, way in items:
            asked = question.ways[way]
            assert isinstance(asked, Open)
            try:
                context, cut = encode_open(
                    self._tokenizer, asked.examples, asked.question, room, self._by_template
                )
            except DoesNotFitError:
                yield BenchmarkAnswer(question.id, way, "", {})
                continue
            self._require_embedded(context, question)
            contexts.append(((question, way), context, cut))
        for stop in dict.fromkeys(_stop(item) for item, _, _ in contexts):
            same = [entry for entry in contexts if _stop(entry[0]) == stop]
            tokens = [context for _, context, _ in same]
            for index, continuation in generate_continuations(
                self._loaded,
                self._tokenizer,
                tokens,
                max_new_tokens,
                stop,
                budget=self._batch_tokens,
            ):
                (question, way), _, cut = same[index]
                prediction, scores = benchmark.grade(question, continuation.text)
                yield BenchmarkAnswer(
                    question.id, way, prediction, scores, (), cut, continuation.text
                )

    def _require_embedded(self, tokens: Sequence[int], question: BenchmarkQuestion) -> None:
        embeddings = embedding_count(self._loaded.config)
        require_embedded(tokens, embeddings, self._tokenizer, f"question {question.id}")


def _stop(item: Item) -> tuple[str, ...]:
    asked = item[0].ways[item[1]]
    return asked.stop if isinstance(asked, Open) else ()


def _ranked_way(question: BenchmarkQuestion, way: str) -> Ranked:
    asked = question.ways[way]
    assert isinstance(asked, Ranked)
    return asked


def _after(prompt: str, choice: str) -> str:
    """The choice as it follows the prompt: as the answers of its examples follow theirs."""
    asking = prompt.rpartition("\n")[2]
    follows = prompt[prompt.find(asking) + len(asking) :][:1]
    glued = prompt[-1:].isspace() or (follows and not follows.isspace())
    return choice if glued else f" {choice}"


def load_answering(settings: Settings, run: RunDir, name: ModelName) -> AnsweringModel:
    """The run's base or trained model, ready to answer."""
    return AnsweringModel(
        name,
        load_model(run.base if name == "base" else run.model, select_device(settings)),
        load_tokenizer(run.tokenizer),
        settings.benchmark.batch_tokens,
        settings.benchmark.chat_template,
    )


def phase_of(benchmark: str, model: str) -> str:
    """What the stage does while a model answers a benchmark."""
    return f"{benchmark} · {model}"


def ways_asked(question: BenchmarkQuestion, ask: Sequence[str]) -> list[str]:
    """The ways of a question that the settings ask for; all where it has none of those."""
    open_ways = [way for way, asked in question.ways.items() if isinstance(asked, Open)]
    wanted = [way for way in question.ways if way in ask] + open_ways
    return list(dict.fromkeys(wanted)) or list(question.ways)
