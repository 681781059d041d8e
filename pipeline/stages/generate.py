"""generate: both models answer the prompts, and say how likely they find the expected answers.

Writes answers.parquet (a row a prompt, see `ANSWER_SCHEMA`), summary.json with the perplexities
of training and held-out text under both models, and generated/ with the answers as JSON:

    generated_answers.json            [{prompt, expected_completion, base_completion,
                                        finetuned_completion}]
    finetuned_generated_answers.json  [{prompt, completion}]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import transformers
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.files import write_json
from pipeline.contract.results.common import write_table
from pipeline.contract.results.examples import read_tokens
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, load_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.contract.wording import listed
from pipeline.corpus.examples import encode_pair
from pipeline.evaluation.encoding import Request
from pipeline.evaluation.likelihood import Likelihood, likelihoods
from pipeline.generation import Continuation, Sampling, generate_continuations, new_token_limit
from pipeline.memory import exhaustion_explained
from pipeline.model import context_length, load_model, load_tokenizer, select_device

MODELS = ("base", "trained")
_MEMORY_ADVICE = "lower generate.batch_tokens"
_SAMPLED_EXAMPLES = 200
"""Training and held-out examples each whose perplexity is taken, evenly spaced."""

ANSWER_SCHEMA = pa.schema(
    [("prompt_id", pa.string()), ("prompt", pa.string()), ("expected", pa.string())]
    + [
        (f"{model}_{name}", kind)
        for model in MODELS
        for name, kind in (
            ("answer", pa.string()),
            ("ended", pa.string()),  # "end", "stop" or "length": see `generation.Continuation`
            ("log_likelihood", pa.float64()),  # of the expected answer, nats; null = none expected
            ("tokens", pa.int32()),  # of the expected answer
        )
    ]
)


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Loads one model after the other.

    Raises:
        ResourceError: out of memory.
    """
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    prompts = load_prompts(run.prepared_prompts, use_generated=True)
    tokenizer = load_tokenizer(run.tokenizer)
    contexts = [encode_pair(tokenizer, p.prompt, p.completion)[0] for p in prompts]
    rows: list[dict[str, Any]] = [
        {"prompt_id": p.id, "prompt": p.prompt, "expected": p.completion} for p in prompts
    ]
    perplexities: dict[str, dict[str, float | None]] = {}
    for name, folder in (("base", run.base), ("trained", run.model)):
        with exhaustion_explained(_MEMORY_ADVICE):
            model = load_model(folder, select_device(settings))
            written = _answers(settings, events, name, model, tokenizer, contexts)
            expected = _expected(settings, model, tokenizer, prompts)
            perplexities[name] = {
                "training": _perplexity(settings, model, read_tokens(run)),
                "validation": _perplexity(settings, model, read_tokens(run, run.validation)),
            }
        for index, row in enumerate(rows):
            row |= {f"{name}_answer": written[index].text, f"{name}_ended": written[index].ended}
            if index in expected:
                row[f"{name}_log_likelihood"] = expected[index].total
                row[f"{name}_tokens"] = expected[index].tokens
    warnings = _cautions(settings, prompts, contexts, context_length(model.config))
    for message in warnings:
        events.warning(message)
    write_table(run.generated_answers, pa.Table.from_pylist(rows, ANSWER_SCHEMA))
    _write_json(run, rows)
    summary = {"prompts": len(rows), "perplexities": perplexities,
               "sampled_examples": _SAMPLED_EXAMPLES, "warnings": warnings}  # fmt: skip
    write_json(run.summary("generate"), summary)


def _answers(
    settings: Settings,
    events: EventWriter,
    name: str,
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
    found: dict[int, Continuation] = {}
    for index, one in generate_continuations(
        model, tokenizer, contexts, chosen.max_new_tokens, chosen.stop, sampling,
        chosen.batch_tokens,
    ):  # fmt: skip
        found[index] = one
        events.progress(len(found), len(contexts), "prompts", f"answers · {name}")
    return found


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
    places = [index for index, prompt in enumerate(prompts) if prompt.completion.strip()]
    pairs = [
        encode_pair(tokenizer, prompts[index].prompt, prompts[index].completion) for index in places
    ]
    requests = [Request(tuple(context), (tuple(answer),)) for context, answer in pairs]
    scored = likelihoods(model, requests, settings.generate.batch_tokens)
    return {places[index]: found[0] for index, found in scored}


def _perplexity(
    settings: Settings, model: PreTrainedModel, rows: Sequence[NDArray[np.int32]]
) -> float | None:
    """exp of the mean loss a token over evenly spaced examples; None where there are none."""
    count = min(len(rows), _SAMPLED_EXAMPLES)
    chosen = [rows[n * len(rows) // count].tolist() for n in range(count)]
    requests = [Request(tuple(r[:1]), (tuple(r[1:]),)) for r in chosen if len(r) > 1]
    found = [one[0] for _, one in likelihoods(model, requests, settings.generate.batch_tokens)]
    tokens = sum(one.tokens for one in found)
    return math.exp(-sum(one.total for one in found) / tokens) if tokens else None


def _write_json(run: RunDir, rows: list[dict[str, Any]]) -> None:
    both = [
        {
            "prompt": row["prompt"],
            "expected_completion": row["expected"],
            "base_completion": row["base_answer"],
            "finetuned_completion": row["trained_answer"],
        }
        for row in rows
    ]
    trained = [{"prompt": r["prompt"], "completion": r["trained_answer"]} for r in rows]
    write_json(run.generated / "generated_answers.json", both)
    write_json(run.generated / "finetuned_generated_answers.json", trained)
