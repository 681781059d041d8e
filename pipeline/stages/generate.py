"""generate: both models answer the prompts, and say how likely they find the expected answers.

Writes answers.parquet, a row a prompt; summary.json with the perplexities of training and held-out
text under both models; and generated/ with the answers in the field's own JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.results.generation import (
    MODELS,
    GeneratedAnswer,
    GeneratedPair,
    Generation,
    ModelName,
    Perplexity,
    write_generation,
)
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.settings.schema import Settings
from pipeline.contract.wording import listed
from pipeline.corpus.examples import TokenDataset, encode_prompt, encode_question
from pipeline.evaluation.encoding import Request
from pipeline.evaluation.likelihood import Likelihood, likelihoods
from pipeline.generation import Continuation, Sampling, generate_continuations, new_token_limit
from pipeline.memory import exhaustion_explained
from pipeline.model import context_length, load_model, load_tokenizer, require_base, select_device

_MEMORY_ADVICE = "lower generate.batch_tokens"
_SAMPLED_EXAMPLES = 200
"""Training and held-out examples each whose perplexity is taken, evenly spaced."""


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Loads one model after the other.

    Raises:
        ModelError: there is no base.
        ResourceError: out of memory.
    """
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    require_base(run)
    prompts = read_prompts(run)
    tokenizer = load_tokenizer(run.tokenizer)
    contexts = [encode_question(tokenizer, prompt) for prompt in prompts]
    events.plan(dict.fromkeys(map(_phase, MODELS), 1.0))
    answers: dict[ModelName, list[GeneratedAnswer]] = {}
    perplexities: dict[ModelName, Perplexity] = {}
    folders: dict[ModelName, Path] = {"base": run.base, "trained": run.model}
    for name, folder in folders.items():
        with exhaustion_explained(_MEMORY_ADVICE):
            events.doing(f"loading the {name} model")
            model = load_model(folder, select_device(settings))
            written = _answers(settings, events, name, model, tokenizer, contexts)
            events.doing(f"likelihoods · {name}")
            expected = _expected(settings, model, tokenizer, prompts)
            perplexities[name] = Perplexity(
                training=_perplexity(settings, model, TokenDataset.of_examples(run)),
                validation=_perplexity(
                    settings, model, TokenDataset.of_examples(run, run.validation)
                ),
            )
        answers[name] = [_answer(written[n], expected.get(n)) for n in range(len(prompts))]
    warnings = _cautions(settings, prompts, contexts, context_length(model.config))
    for message in warnings:
        events.warning(message)
    pairs = [
        GeneratedPair(prompt.id, prompt.prompt, prompt.completion, base, trained)
        for prompt, base, trained in zip(prompts, answers["base"], answers["trained"], strict=True)
    ]
    summary = Generation(len(pairs), perplexities, _SAMPLED_EXAMPLES, tuple(warnings))
    write_generation(run, pairs, summary)


def _phase(model: ModelName) -> str:
    return f"answers · {model}"


def _answer(written: Continuation, expected: Likelihood | None) -> GeneratedAnswer:
    if expected is None:
        return GeneratedAnswer(written.text, written.ended, None, None, written.ids)
    return GeneratedAnswer(
        written.text, written.ended, expected.total, expected.tokens, written.ids
    )


def _answers(
    settings: Settings,
    events: EventWriter,
    name: ModelName,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contexts: Sequence[Sequence[int]],
) -> dict[int, Continuation]:
    chosen = settings.generate
    sampling = (
        Sampling(chosen.temperature, chosen.top_p, settings.run.seed)
        if chosen.temperature > 0
        else None
    )
    answers: dict[int, Continuation] = {}
    for index, one in generate_continuations(
        model, tokenizer, contexts, chosen.max_new_tokens, chosen.stop, sampling,
        chosen.batch_tokens,
    ):  # fmt: skip
        answers[index] = one
        events.progress(len(answers), len(contexts), "prompts", _phase(name))
    return answers


def _cautions(
    settings: Settings,
    prompts: Sequence[Prompt],
    contexts: Sequence[Sequence[int]],
    limit: int | None,
) -> list[str]:
    most = settings.generate.max_new_tokens
    short = [
        prompt.id
        for prompt, context in zip(prompts, contexts, strict=True)
        if new_token_limit(len(context), most, limit) < most
    ]
    if not short:
        return []
    return [
        f"prompts so long that the model's context ({limit} tokens) has no room for "
        f"generate.max_new_tokens = {most} more, so that their answers may be cut short: "
        f"{len(short)} of {len(prompts)} ({listed(short)})"
    ]


def _expected(
    settings: Settings,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
) -> dict[int, Likelihood]:
    """The expected answers' likelihoods, by index of the prompts that have one."""
    positions = [index for index, prompt in enumerate(prompts) if prompt.completion.strip()]
    pairs = [encode_prompt(tokenizer, prompts[index]) for index in positions]
    requests = [Request(tuple(context), (tuple(answer),)) for context, answer in pairs]
    scored = likelihoods(model, requests, settings.generate.batch_tokens)
    return {positions[index]: likelihood[0] for index, likelihood in scored}


def _perplexity(settings: Settings, model: PreTrainedModel, examples: TokenDataset) -> float | None:
    """exp of the mean loss a labelled token over evenly spaced examples; None where there are
    none."""
    count = min(len(examples), _SAMPLED_EXAMPLES)
    requests = [
        Request(tuple(tokens[:begin]), (tuple(tokens[begin:end]),))
        for index in (n * len(examples) // count for n in range(count))
        for tokens in [examples.tokens(index)]
        for begin, end in examples.answers(index)
    ]
    scored = [one[0] for _, one in likelihoods(model, requests, settings.generate.batch_tokens)]
    tokens = sum(one.tokens for one in scored)
    return math.exp(-sum(one.total for one in scored) / tokens) if tokens else None
