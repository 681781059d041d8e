"""Choice ranking: the shared reading gives the figures of reading everything from the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.evaluation.encoding import DoesNotFitError, Request, encode
from pipeline.evaluation.likelihood import Likelihood, likelihoods

SHOTS = "Which animal barks? Answer: the dog\n\nWhich animal meows? Answer: the cat\n\n"
QUESTIONS = [
    ("Which animal gives milk? Answer:", (" the cow", " the fly", " a stone")),
    ("Which of all the animals that we know of in this village lays eggs? Answer:", (" A", " B")),
    ("Who? Answer:", (" the old miller of the village", " she", " the cat and the dog")),
    ("What barks? Answer:", (" the dog of the village", " the dog of the miller", " the dog")),
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([SHOTS, *(text for text, _ in QUESTIONS)], vocab_size=300)


def sharp(model: PreTrainedModel) -> PreTrainedModel:
    """Larger weights, so that predictions are not uniform."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.train(False)
    return model


SHAPE: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1,
}  # fmt: skip


def llama() -> PreTrainedModel:
    return sharp(LlamaForCausalLM(LlamaConfig(**SHAPE)))


def mistral_with_a_window() -> PreTrainedModel:
    return sharp(MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=9)))


def cohere_with_scaled_logits() -> PreTrainedModel:
    return sharp(CohereForCausalLM(CohereConfig(**SHAPE, logit_scale=0.5)))


def gpt2() -> PreTrainedModel:
    return sharp(GPT2LMHeadModel(GPT2Config(vocab_size=300, n_embd=16, n_layer=2, n_head=2)))


@torch.inference_mode()
def from_the_start(model: PreTrainedModel, request: Request) -> list[Likelihood]:
    found = []
    for answer in request.candidates:
        tokens = torch.tensor([request.context + answer])
        logits = model(input_ids=tokens[:, :-1]).logits[0, -len(answer) :].log_softmax(-1)
        wanted = torch.tensor(answer)
        total = logits[torch.arange(len(answer)), wanted].sum()
        greedy = bool((logits.argmax(-1) == wanted).all())
        found.append(Likelihood(float(total), greedy, len(answer)))
    return found


def scored(
    model: PreTrainedModel, requests: list[Request], budget: int = 4096
) -> list[list[Likelihood]]:
    found = dict(likelihoods(model, requests, budget))
    return [found[index] for index in range(len(requests))]


@pytest.mark.parametrize("make", [llama, mistral_with_a_window, cohere_with_scaled_logits, gpt2])
@pytest.mark.parametrize("budget", [8, 256, 4096])
def test_likelihoods_equal_those_of_reading_everything_from_the_start(
    make: type, budget: int, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = make()
    requests = [
        request
        for shots in (SHOTS, "")
        for question, answers in QUESTIONS
        for request in encode(tokenizer, shots, [(question, answer) for answer in answers], None)
    ]
    assert any(len(set(map(len, request.candidates))) > 1 for request in requests)
    for ours, plain in zip(
        scored(model, requests, budget), [from_the_start(model, r) for r in requests], strict=True
    ):
        assert [one.total for one in ours] == pytest.approx([one.total for one in plain], rel=1e-4)
        assert [one.greedy for one in ours] == [one.greedy for one in plain]
        assert [one.tokens for one in ours] == [one.tokens for one in plain]


def test_the_greedy_continuation_is_known_as_such(tokenizer: PreTrainedTokenizerBase) -> None:
    model = llama()
    context = tuple(tokenizer.encode("Which animal"))
    best: tuple[int, ...] = ()
    for _ in range(3):
        logits = model(input_ids=torch.tensor([context + best])).logits[0, -1]
        best = (*best, int(logits.argmax()))
    other = (*best[:-1], (best[-1] + 1) % 300)
    ours = scored(model, [Request(context, (best, other))])[0]
    assert [one.greedy for one in ours] == [True, False]


def test_a_long_prompt_is_cut_from_the_left_to_what_the_model_reads(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    question, answers = QUESTIONS[0]
    pairs = [(question, answer) for answer in answers]
    (whole,) = encode(tokenizer, SHOTS, pairs, None)
    limit = len(whole.context) - 5
    (cut,) = encode(tokenizer, SHOTS, pairs, limit)
    longest = max(map(len, cut.candidates))
    assert len(cut.context) + longest == limit + 1
    assert cut.context == whole.context[cut.cut :]
    assert cut.candidates == whole.candidates


def test_a_question_that_does_not_fit_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(DoesNotFitError):
        encode(tokenizer, SHOTS, [(QUESTIONS[1][0], " A")], 10)


@pytest.mark.skipif(
    not (Path(__file__).parents[4] / "shared/data/stories260k/hf").exists(),
    reason="../shared is not there",
)
def test_a_trained_model_prefers_the_likely_word() -> None:
    from transformers import AutoTokenizer

    from pipeline.model import load_model

    folder = Path(__file__).parents[4] / "shared/data/stories260k/hf"
    model, words = load_model(folder, torch.device("cpu")), AutoTokenizer.from_pretrained(folder)
    pairs = [("Once upon a", " time there was"), ("Once upon a", " xylophone there was")]
    (request,) = encode(words, "", pairs, 512)
    time, xylophone = scored(model, [request])[0]
    assert time.total > xylophone.total
