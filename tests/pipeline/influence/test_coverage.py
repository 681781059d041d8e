"""What a configuration alone tells: whether influence can be traced, and through what share."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AutoConfig, PretrainedConfig

from pipeline.contract.errors import ModelError
from pipeline.contract.results.factors import Coverage
from pipeline.contract.settings.schema import ModuleSettings
from pipeline.influence.coverage import examine

from .architectures import DENSE, EXPERTS, config_of

SMALL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def small(kind: str, **changes: Any) -> PretrainedConfig:
    config: PretrainedConfig = AutoConfig.for_model(kind, **SMALL | changes)
    return config


def refusal(config: PretrainedConfig, group: str = "all") -> ModelError:
    with pytest.raises(ModelError) as caught:
        examine(config, ModuleSettings.model_validate({"group": group}))
    return caught.value


@pytest.mark.parametrize("name", DENSE)
def test_nearly_every_matrix_of_a_decoder_is_traced(name: str) -> None:
    assert examine(config_of(name), ModuleSettings(group="all")).share == 1


@pytest.mark.parametrize("name", EXPERTS)
def test_all_of_a_mixture_but_its_router_is_traced(name: str) -> None:
    found = examine(config_of(name), ModuleSettings())
    assert 0.9 < found.share <= 1
    assert "down_proj" not in found.left_out
    assert "layers.{" in found.left_out


def test_experts_that_cannot_be_told_apart_are_counted_and_named() -> None:
    llama4 = {"num_local_experts": 4, "intermediate_size_mlp": 24, "num_key_value_heads": 1}
    config = small("llama4_text", **llama4, interleave_moe_layer_step=1, pad_token_id=None)
    error = refusal(config, "mlp")
    assert "only" in error.message
    assert "% of the MLP weights" in error.message
    assert "feed_forward.experts.gate_up_proj" in error.message
    assert 'modules.group = "attention"' in error.hint
    assert examine(config, ModuleSettings(group="attention")).share == 1


def test_modules_that_are_named_are_no_share_of_anything() -> None:
    name = "model.layers.0.mlp.up_proj"
    assert examine(small("llama"), ModuleSettings(names=[name])).share == 1


def test_a_model_without_mlps_is_told_what_it_has() -> None:
    error = refusal(small("mamba", state_size=4), "mlp")
    assert "no such modules" in error.message
    assert "mixer.in_proj" in error.hint


def test_a_share_is_told_in_one_sentence() -> None:
    assert Coverage("mlp", 0.43, "layers.{0-3}.mlp.experts").sentence == (
        "43% of the MLP weights in the chosen layers are traced; left out: layers.{0-3}.mlp.experts"
    )
    assert (
        Coverage("all", 1.0, "").sentence == "100% of the weights in the chosen layers are traced"
    )
