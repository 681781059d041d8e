"""The one step of the tail patch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import LlamaForCausalLM

from pipeline.corpus.examples import TokenDataset, TokenRow, pad_batch
from pipeline.validation.tail_patch import STEP, stepped


@pytest.fixture
def example(tiny_tokens: torch.Tensor) -> TokenRow:
    return TokenDataset([tiny_tokens[0].numpy()])[0]


def loss(model: LlamaForCausalLM, example: TokenRow) -> float:
    with torch.no_grad():
        return float(model(**pad_batch([example])).loss)


def test_the_example_is_likelier_after_the_step_and_the_weights_come_back(
    make_tiny_llama: Callable[[], LlamaForCausalLM], example: TokenRow
) -> None:
    model, before = make_tiny_llama(), make_tiny_llama().state_dict()
    at_first = loss(model, example)
    with stepped(model, example):
        assert loss(model, example) < at_first
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


def test_the_step_has_its_length_whatever_the_gradient(
    make_tiny_llama: Callable[[], LlamaForCausalLM], example: TokenRow
) -> None:
    model = make_tiny_llama()
    before = torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    with stepped(model, example):
        after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        assert float((after - before).norm() / before.norm()) == pytest.approx(STEP, rel=1e-3)


def test_the_weights_come_back_when_measuring_fails(
    make_tiny_llama: Callable[[], LlamaForCausalLM], example: TokenRow
) -> None:
    model, before = make_tiny_llama(), make_tiny_llama().state_dict()
    with pytest.raises(ZeroDivisionError), stepped(model, example):
        _ = 1 / 0
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
