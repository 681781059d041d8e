"""What a later stage would get wrong is refused by name, before a model is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    BertConfig,
    BertLMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pipeline.contract.errors import ModelError
from pipeline.contract.run.events import EventReader, EventWriter, Note
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.rehearsal.rehearse import rehearse
from tests.small_runs import sentences

SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(sentences(20), vocab_size=300)


@pytest.fixture
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES))


Try = Callable[..., RunDir]


@pytest.fixture
def try_out(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> Try:
    """Rehearses with a model; sections of settings by keyword."""

    def rehearsed(model: PreTrainedModel, **sections: dict[str, object]) -> RunDir:
        run = RunDir(tmp_path)
        examples = TokenDataset(
            [tokenizer(t, return_tensors="np")["input_ids"][0] for t in sentences(3)]
        )
        values = {"data": {"source": "demo"}, "run": {"device": "cpu"}, **sections}
        events = EventWriter(run.events, "train")
        settings = Settings.model_validate(values)
        rehearse(settings, run, events, model, tokenizer, examples)
        return run

    return rehearsed


def mlp(model: LlamaForCausalLM) -> Any:
    return model.get_submodule("model.layers.1.mlp")


def test_a_decoder_passes_and_stays_as_it_was(llama: LlamaForCausalLM, try_out: Try) -> None:
    llama.train()
    llama.lm_head.requires_grad_(False)
    before = {name: parameter.clone() for name, parameter in llama.named_parameters()}
    modules = [type(module) for module in llama.modules()]
    torch.manual_seed(7)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    run = try_out(llama, modules={"group": "all"})
    assert torch.equal(torch.rand(3), drawn)
    assert llama.training
    assert [type(module) for module in llama.modules()] == modules
    for name, parameter in llama.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.requires_grad == (name != "lm_head.weight")
        assert parameter.grad is None
    (note,) = [e.message for e in EventReader(run.events).read() if isinstance(e, Note)]
    assert "14 modules agree with autograd" in note
    assert not list(run.stage("train").iterdir())


@pytest.mark.parametrize("strategy", ["ekfac", "kfac", "diagonal", "identity"])
def test_every_strategy_is_tried(llama: LlamaForCausalLM, try_out: Try, strategy: str) -> None:
    try_out(llama, factors={"strategies": [strategy]})


def test_experts_of_a_mixture_are_tried_and_joined_again(try_out: Try) -> None:
    torch.manual_seed(0)
    model = MixtralForCausalLM(MixtralConfig(**SIZES, num_local_experts=4))
    names = [name for name, _ in model.named_modules()]
    try_out(model)
    assert [name for name, _ in model.named_modules()] == names


def test_a_model_that_sees_the_future_is_refused(try_out: Try) -> None:
    model = BertLMHeadModel(BertConfig(**SIZES, is_decoder=False))
    with pytest.raises(ModelError, match=r"BertLMHeadModel: token .* sees the token") as caught:
        try_out(model, modules={"group": "all"})
    assert "decoder" in caught.value.hint


def test_a_model_that_mixes_a_batchs_rows_is_refused(llama: LlamaForCausalLM, try_out: Try) -> None:
    llama.model.norm.register_forward_hook(lambda _m, _i, out: out - out.mean(0, True) / 2)
    with pytest.raises(ModelError, match="other examples of its batch"):
        try_out(llama)


def test_a_module_that_is_called_twice_is_refused(llama: LlamaForCausalLM, try_out: Try) -> None:
    plain = mlp(llama).forward
    mlp(llama).forward = lambda x: plain(x) + plain(2 * x)
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.gate_proj is called 2 times"):
        try_out(llama)


def test_a_module_that_text_never_reaches_is_refused(llama: LlamaForCausalLM, try_out: Try) -> None:
    mlp(llama).forward = lambda x: x
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.gate_proj is called never"):
        try_out(llama)


def test_a_module_that_only_chooses_is_refused_by_name(
    llama: LlamaForCausalLM, try_out: Try
) -> None:
    """No gradient comes back through a choice, as in the indexers of sparse attention."""
    plain, chooser = mlp(llama).forward, nn.Linear(16, 16)
    mlp(llama).chooser = chooser
    mlp(llama).forward = lambda x: plain(x) * (chooser(x) > 0)
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.chooser gets no gradient") as caught:
        try_out(llama)
    assert "modules.names" in caught.value.hint


def test_modules_that_share_a_weight_are_refused(llama: LlamaForCausalLM, try_out: Try) -> None:
    mlp(llama).down_proj.weight = llama.get_submodule("model.layers.0.mlp.down_proj").weight
    with pytest.raises(ModelError, match=r"layers\.0\.mlp\.down_proj shares its weight with"):
        try_out(llama)


def test_a_weight_that_is_used_beside_its_module_is_refused(
    llama: LlamaForCausalLM, try_out: Try
) -> None:
    """Its module sees a part of what the gradient comes from."""
    gate, plain = mlp(llama).gate_proj, mlp(llama).forward
    mlp(llama).forward = lambda x: plain(x + functional.linear(x, gate.weight)[..., :16])
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.gate_proj: its self-influence is .*off"):
        try_out(llama)


def test_a_module_that_sees_tokens_before_examples_is_refused(
    llama: LlamaForCausalLM, try_out: Try
) -> None:
    plain = mlp(llama).forward
    mlp(llama).forward = lambda x: plain(x.transpose(0, 1)).transpose(0, 1)
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.gate_proj gets its input as"):
        try_out(llama)


def test_rows_that_are_flat_in_the_order_of_tokens_are_right(
    llama: LlamaForCausalLM, try_out: Try
) -> None:
    plain = mlp(llama).forward
    mlp(llama).forward = lambda x: plain(x.flatten(0, 1)).view_as(x)
    try_out(llama)


def test_flat_rows_in_another_order_are_refused(llama: LlamaForCausalLM, try_out: Try) -> None:
    plain = mlp(llama).forward

    def by_token(x: Tensor) -> Tensor:
        turned = x.transpose(0, 1)
        output: Tensor = plain(turned.flatten(0, 1))
        return output.view_as(turned).transpose(0, 1)

    mlp(llama).forward = by_token
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\..* off what autograd gives"):
        try_out(llama)


def test_what_a_models_own_code_raises_becomes_one_message(
    llama: LlamaForCausalLM, try_out: Try
) -> None:
    class NoMasks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("masks")

    llama.model.norm = NoMasks()
    with pytest.raises(ModelError, match="LlamaForCausalLM does not do what influence needs"):
        try_out(llama)


def test_one_short_example_is_enough(
    llama: LlamaForCausalLM, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    run = RunDir(tmp_path)
    examples = TokenDataset([tokenizer("bread", return_tensors="np")["input_ids"][0]])
    settings = Settings.model_validate({"data": {"source": "demo"}, "run": {"device": "cpu"}})
    rehearse(settings, run, EventWriter(run.events, "train"), llama, tokenizer, examples)
