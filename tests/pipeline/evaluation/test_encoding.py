"""Candidates as tokens: none without a token, by the chat template as the harness puts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.evaluation.benchmarks.benchmark import Benchmark, Options, ranked
from pipeline.evaluation.data import BenchmarkData
from pipeline.evaluation.encoding import encode, encode_open
from pipeline.evaluation.likelihood import likelihoods
from pipeline.evaluation.questions import BenchmarkQuestion
from tests.pipeline.corpus.chat_templates import FAMILIES, chat_tokenizer

MELTING = (("The capital of Norway is Os", "lo"), ("The capital of Norway is Os", "aka"))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(["The capital of Norway is Oslo, not Osaka."] * 8, 400)


def test_candidates_that_melt_into_the_question_have_the_models_own_likelihoods(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=400, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                    num_attention_heads=2, initializer_range=0.3)
    ).double()  # fmt: skip
    model.train(False)
    requests = encode(tokenizer, "", MELTING, None)
    found = dict(likelihoods(model, requests, 4096))
    for number, request in enumerate(requests):
        for answer, likelihood in zip(request.candidates, found[number], strict=True):
            ids = torch.tensor([[*request.context, *answer]])
            logs = model(input_ids=ids).logits[0].log_softmax(-1)
            begin = len(request.context) - 1
            expected = sum(float(logs[begin + n, token].detach()) for n, token in enumerate(answer))
            assert likelihood.tokens == len(answer) > 0
            assert likelihood.total == pytest.approx(expected, rel=1e-5)


def test_a_candidate_without_a_token_is_refused_by_name(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    with pytest.raises(DataError, match="candidate 2 of question 7 has no token"):
        encode(tokenizer, "", (("Is it? ", "Oslo"), ("Is it? ", "")), None, "question 7")


class Empty(Benchmark):
    name = "empty"

    def task_questions(self, task: str) -> Iterator[BenchmarkQuestion]:
        yield BenchmarkQuestion("q0", "", {"texts": ranked("", "Is it?", [" Oslo", " far"], 0)})
        yield BenchmarkQuestion("q1", "", {"texts": ranked("", "Is it?", [" Oslo", " "], 0)})


def test_an_empty_candidate_is_refused_before_any_model_is_loaded() -> None:
    with pytest.raises(DataError, match="empty: candidate 2 of question q1 is empty"):
        Empty(BenchmarkData("nowhere"), Options()).questions()


def harness_pair(
    tokenizer: PreTrainedTokenizerBase, context: str, continuation: str
) -> tuple[list[int], list[int]]:
    """lm-evaluation-harness 0.4's `TemplateLM._encode_pair`, of a text with special tokens."""
    blanks = len(context) - len(context.rstrip())
    if blanks:
        continuation = context[-blanks:] + continuation
        context = context[:-blanks]
    whole = tokenizer.encode(context + continuation, add_special_tokens=False)
    alone = tokenizer.encode(context, add_special_tokens=False)
    return whole[: len(alone)], whole[len(alone) :]


@pytest.mark.parametrize("family", FAMILIES)
def test_by_the_template_questions_are_the_harnesss(family: str) -> None:
    tokenizer = chat_tokenizer(FAMILIES[family])
    pairs = tuple(("How far is Oslo?\nAnswer:", f" {letter}") for letter in "ABCD")
    [request] = encode(tokenizer, "Hello!\n\n", pairs, None, by_template=True)
    said = [{"role": "user", "content": "Hello!\n\nHow far is Oslo?\nAnswer:"}]
    context = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    expected = [harness_pair(tokenizer, str(context), letter) for letter in "ABCD"]
    assert [list(answer) for answer in request.candidates] == [answer for _, answer in expected]
    assert list(request.context) == expected[0][0]
    written, cut = encode_open(
        tokenizer, "Hello!\n\n", "How far is Oslo?\nAnswer:", None, by_template=True
    )
    assert list(written) == tokenizer.encode(str(context), add_special_tokens=False)
    assert cut == 0
