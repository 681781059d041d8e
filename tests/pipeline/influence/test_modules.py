"""Which modules the settings choose, and what is said when they choose none."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.results.scores import layer_of
from pipeline.contract.settings.schema import ModuleSettings
from pipeline.influence.modules import (
    resolve_modules,
    spell_layers,
    summarize,
    weight_shape,
)

LLAMA = LlamaConfig(
    vocab_size=64,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=4,
    num_attention_heads=2,
)
MLP = ("gate_proj", "up_proj", "down_proj")


def chosen(**values: object) -> list[str]:
    with torch.device("meta"):
        model = LlamaForCausalLM(LLAMA)
    return resolve_modules(model, ModuleSettings.model_validate(values))


def test_mlp_modules_of_every_layer_are_the_default() -> None:
    assert chosen() == [f"model.layers.{n}.mlp.{name}" for n in range(4) for name in MLP]


def test_attention_has_its_four_projections() -> None:
    names = [name.rpartition(".")[2] for name in chosen(group="attention", layers="0")]
    assert sorted(names) == ["k_proj", "o_proj", "q_proj", "v_proj"]


def test_all_means_mlp_and_attention_but_never_the_vocabulary_projection() -> None:
    assert set(chosen(group="all")) == {*chosen(), *chosen(group="attention")}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("all", {0, 1, 2, 3}), ("2", {2}), ("0-1,3", {0, 1, 3}), (" 1 - 2 ", {1, 2})],
)
def test_layers_are_a_list_of_numbers_and_ranges(layers: str, expected: set[int]) -> None:
    assert {layer_of(name) for name in chosen(layers=layers)} == expected


@pytest.mark.parametrize("layers", ["", "first", "1-", "3-1", "0,,1", "-1"])
def test_layers_that_cannot_be_read_are_refused(layers: str) -> None:
    with pytest.raises(SettingsError, match=r"modules\.layers"):
        chosen(layers=layers)


def test_absent_layers_are_named_beside_the_valid_ones() -> None:
    with pytest.raises(ModelError) as caught:
        chosen(layers="2-6")
    assert "no layer 4-6" in caught.value.message
    assert "0-3" in caught.value.hint


def test_exact_names_replace_group_and_layers_and_keep_the_models_order() -> None:
    names = ["model.layers.3.mlp.up_proj", "model.layers.0.self_attn.q_proj"]
    assert chosen(names=names, layers="1") == names[::-1]


@pytest.mark.parametrize("name", ["model.layers.9.mlp.up_proj", "lm_head", "model.norm"])
def test_names_that_cannot_be_tracked_are_refused_with_the_valid_ones(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        chosen(names=[name])
    assert name in caught.value.message
    assert "model.layers.{0-3}.mlp.up_proj" in caught.value.hint


def test_models_with_other_names_for_the_same_things_are_understood() -> None:
    model = GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=64,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    )
    assert [n.split(".", 2)[2] for n in resolve_modules(model, ModuleSettings(layers="1"))] == [
        "1.mlp.dense_h_to_4h",
        "1.mlp.dense_4h_to_h",
    ]


def test_gpt2s_transposed_linear_layers_are_among_them() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=16))
    assert resolve_modules(model, ModuleSettings()) == [
        "transformer.h.0.mlp.c_fc",
        "transformer.h.0.mlp.c_proj",
    ]
    c_fc = model.get_submodule("transformer.h.0.mlp.c_fc")
    assert weight_shape(c_fc) == (32, 8)


def test_a_model_without_linear_modules_is_refused() -> None:
    block = nn.ModuleDict({"layers": nn.ModuleList([nn.ModuleDict({"mlp": nn.Conv1d(2, 2, 1)})])})
    with pytest.raises(ModelError, match=r"no nn\.Linear") as caught:
        resolve_modules(nn.ModuleDict({"model": block}), ModuleSettings())
    assert "Conv1d" in caught.value.hint


def test_subclasses_of_linear_are_not_taken_for_what_kronfluence_can_track() -> None:
    class Quantized(nn.Linear):
        pass

    block = nn.ModuleDict({"layers": nn.ModuleList([nn.ModuleDict({"mlp": Quantized(2, 2)})])})
    with pytest.raises(ModelError):
        resolve_modules(nn.ModuleDict({"model": block}), ModuleSettings())


def test_layers_and_names_are_spelt_short() -> None:
    assert spell_layers([7, 0, 1, 2, 9, 10]) == "0-2,7,9-10"
    assert summarize(["a.0.x", "a.0.y", "a.1.x"]) == "a.{0-1}.x, a.{0}.y"
