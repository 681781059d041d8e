"""The trained model's own answers, by greedy decoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.results.answers import GreedyAnswer, begins_with, read_answers
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from pipeline.corpus.examples import encode_prompt, encode_question
from pipeline.generation import generate_continuations
from pipeline.influence.queries import Queries

WrittenAnswer = tuple[str, Sequence[int] | None]
"""A model's answer: its text, and its tokens where they are known."""


def greedy_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
) -> Iterator[GreedyAnswer]:
    """Answers every prompt, from its own tokens."""
    contexts = [encode_question(tokenizer, prompt) for prompt in prompts]
    written = dict(generate_continuations(model, tokenizer, contexts, max_new_tokens))
    for index, prompt in enumerate(prompts):
        text, ids = written[index].text, written[index].ids
        correct = begins_with(text, prompt.completion) if prompt.completion.strip() else None
        yield GreedyAnswer(prompt.id, prompt.prompt, prompt.completion, text, correct, ids)


@dataclass(frozen=True)
class TracedPrompt:
    """A prompt and what is traced after it, as text and as the very tokens."""

    prompt: Prompt
    """Its completion is the text that is traced."""
    context: tuple[int, ...]
    answer: tuple[int, ...]
    """Token ids of the completion."""
    other: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """Context and answer of the completion that it is set against; None = none."""

    @classmethod
    def of(
        cls,
        prompt: Prompt,
        context: Sequence[int],
        answer: Sequence[int],
        tokenizer: PreTrainedTokenizerBase,
    ) -> TracedPrompt:
        """With its other completion, unless that is what is traced: a difference of nothing."""
        if prompt.is_contrast_of_same:
            prompt = prompt.model_copy(update={"instead": None})
        other = None
        if prompt.other is not None:
            before, after = encode_prompt(tokenizer, prompt.other)
            other = tuple(before), tuple(after)
        return cls(prompt, tuple(context), tuple(answer), other)


def as_given(prompts: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase) -> list[TracedPrompt]:
    """The prompts with their given completions."""
    pairs = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    return [
        TracedPrompt.of(prompt, context, answer, tokenizer)
        for prompt, (context, answer) in zip(prompts, pairs, strict=True)
    ]


def with_answers(
    prompts: Sequence[Prompt],
    answers: Mapping[str, WrittenAnswer],
    tokenizer: PreTrainedTokenizerBase,
) -> list[TracedPrompt]:
    """The prompts with the model's own answers (by prompt id) in place of the given completions.

    Traced are the tokens that the model generated: its text, encoded again, may be other tokens,
    which it would not have written. Prompts that it answers nothing to are left out.
    """
    traced = []
    for prompt in prompts:
        text, ids = answers[prompt.id]
        if not text.strip():
            continue
        own, context = prompt.answered(text), encode_question(tokenizer, prompt)
        answer = encode_prompt(tokenizer, own)[1] if ids is None else ids
        traced.append(TracedPrompt.of(own, context, answer, tokenizer))
    return traced


def traced_prompts(
    run: RunDir, use_generated: bool, tokenizer: PreTrainedTokenizerBase
) -> list[TracedPrompt]:
    """The prompts as the scores stage has traced them; row order of its scores."""
    prompts = read_prompts(run, use_generated)
    if not use_generated:
        return as_given(prompts, tokenizer)
    answers = read_answers(run).values()
    return with_answers(
        prompts, {answer.id: (answer.generated, answer.tokens) for answer in answers}, tokenizer
    )


def token_dataset(traced: Sequence[TracedPrompt]) -> Queries:
    """Their tokens, and those of the completions set against them; only answers are labelled."""
    others = {row: one.other for row, one in enumerate(traced) if one.other is not None}
    queries = Queries.of_pairs([*((one.context, one.answer) for one in traced), *others.values()])
    queries.contrasted = tuple(others)
    return queries
