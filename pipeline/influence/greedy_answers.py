"""The trained model's own answers, by greedy decoding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.results.answers import GreedyAnswer, read_answers
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, load_prompts
from pipeline.corpus.examples import encode_question
from pipeline.generation import generate_continuations


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
        text = written[index].text
        correct = begins_with(text, prompt.completion) if prompt.completion.strip() else None
        yield GreedyAnswer(prompt.id, prompt.prompt, prompt.completion, text, correct)


def with_answers(prompts: Sequence[Prompt], answers: Mapping[str, str]) -> list[Prompt]:
    """The prompts with the model's own answers (by prompt id) in place of the given completions.

    Those that it answers nothing to are left out.
    """
    return [prompt.answered(answers[prompt.id]) for prompt in prompts if answers[prompt.id].strip()]


def traced_prompts(run: RunDir, use_generated: bool) -> list[Prompt]:
    """The prompts as the scores stage has traced them; row order of its scores."""
    prompts = load_prompts(run.prepared_prompts, use_generated)
    if not use_generated:
        return prompts
    answers = read_answers(run).values()
    return with_answers(prompts, {answer.id: answer.generated for answer in answers})


def begins_with(text: str, expected: str) -> bool:
    """Whether `text` begins with `expected`, leading blanks aside, and does not cut a word."""
    expected = expected.strip()
    word_ends = r"\b" if expected[-1].isalnum() else ""
    return re.match(re.escape(expected) + word_ends, text.strip()) is not None
