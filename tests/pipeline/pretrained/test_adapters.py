"""Adapters: complete or refused, the same model as peft's own, and with the right gradients."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.settings.schema import ModuleSettings, Settings
from pipeline.influence.modules import resolve_modules
from pipeline.model import load_model
from pipeline.pretrained.adapters import network_of, with_ready_adapter
from pipeline.training.adapting import planned
from tests.small_models import save_folder, small_llama, small_qwen3

IDS = torch.arange(3, 19)[None]
CPU = torch.device("cpu")
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def save_adapter(folder: Path, base: PreTrainedModel, **options: Any) -> Path:
    """An adapter with weights of its own, as peft saves it."""
    config = LoraConfig(
        **{"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 6, "target_modules": LAYERS, **options}
    )
    adapted = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in adapted.parameters():
            if weight.requires_grad:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
    adapted.save_pretrained(str(folder))
    return folder


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    edit(weights)
    save_file(weights, file, metadata={"format": "pt"})


def refused(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        with_ready_adapter(small_llama(), folder, "model.trained")
    return caught.value


def run_folder(root: Path, base: PreTrainedModel, **options: Any) -> Path:
    """A base and a ready adapter as the train stage leaves them; gives the adapter's folder."""
    save_folder(base, root / "base")
    return save_adapter(root / "model", base, **options)


@torch.no_grad()
@pytest.mark.parametrize("make", [small_llama, small_qwen3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"lora_dropout": 0.5},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 9}},
        {"layers_to_transform": [1]},
        {"target_modules": ["q_proj", "v_proj"]},
    ],
    ids=str,
)
def test_a_loaded_adapter_is_pefts_own_model(
    tmp_path: Path, make: Callable[[], PreTrainedModel], options: dict[str, Any]
) -> None:
    folder = run_folder(tmp_path, make(), **options)
    reference = PeftModel.from_pretrained(make(), folder).eval()(input_ids=IDS).logits
    base = make()(input_ids=IDS).logits
    assert float((reference - base).abs().max()) > 1e-2, "the adapter does something"
    found = load_model(folder, CPU)
    assert torch.equal(found(input_ids=IDS).logits, reference)
    merged = load_model(folder, CPU, merged=True)
    torch.testing.assert_close(merged(input_ids=IDS).logits, reference, rtol=1e-4, atol=1e-5)
    assert torch.equal(load_model(tmp_path / "base", CPU)(input_ids=IDS).logits, base)


def test_only_the_matrices_of_an_adapter_are_traced_and_take_gradients(tmp_path: Path) -> None:
    model = load_model(run_folder(tmp_path, small_llama()), CPU)
    every = resolve_modules(model, ModuleSettings(group="all"))
    assert len(every) == 2 * 2 * len(LAYERS)
    assert "model.layers.0.mlp.up_proj.lora_A.default" in every
    assert "model.layers.1.self_attn.q_proj.lora_B.default" in every
    trained = {
        name.removesuffix(".weight") for name, w in model.named_parameters() if w.requires_grad
    }
    assert trained == set(every)
    mlp = resolve_modules(model, ModuleSettings(group="mlp", layers="1"))
    assert all(name.startswith("model.layers.1.mlp.") for name in mlp)
    assert len(mlp) == 6


def test_a_merged_adapter_is_traced_as_whole_weights(tmp_path: Path) -> None:
    merged = load_model(run_folder(tmp_path, small_llama()), CPU, merged=True)
    assert resolve_modules(merged, ModuleSettings(group="all")) == resolve_modules(
        small_llama(), ModuleSettings(group="all")
    )
    assert all(weight.requires_grad for weight in merged.parameters())


def test_missing_weights_of_an_adapter_are_not_made_up(tmp_path: Path) -> None:
    folder = save_adapter(tmp_path, small_llama())
    change(folder, lambda w: w.pop("base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"))
    error = refused(folder)
    assert "lacks the weights of 1 tensor" in error.message
    assert "layers.1.mlp.up_proj.lora_B" in error.message


def test_weights_of_other_layers_are_not_dropped(tmp_path: Path) -> None:
    folder = save_adapter(tmp_path, small_llama())
    config = json.loads((folder / "adapter_config.json").read_text())
    config["target_modules"] = LAYERS[:-1]
    (folder / "adapter_config.json").write_text(json.dumps(config))
    error = refused(folder)
    assert "down_proj" in error.message
    assert "no place" in error.message


def test_another_rank_than_the_weights_have(tmp_path: Path) -> None:
    folder = save_adapter(tmp_path, small_llama())
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "r": 8}))
    assert "size mismatch" in refused(folder).message


def test_a_base_without_such_layers(tmp_path: Path) -> None:
    folder = save_adapter(tmp_path, small_llama(), target_modules=["q_proj"])
    config = json.loads((folder / "adapter_config.json").read_text())
    config["target_modules"] = ["c_attn"]
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert "does not fit its base" in refused(folder).message


def test_adapter_weights_that_are_no_numbers(tmp_path: Path) -> None:
    folder = save_adapter(tmp_path, small_llama())
    name = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"
    change(folder, lambda w: w[name].__setitem__(0, float("nan")))
    assert "no numbers" in refused(folder).message


@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
        {"init_lora_weights": "pissa"},
        {"trainable_token_indices": [5]},
        {"target_parameters": ["model.layers.0.mlp.up_proj.weight"]},
        {"layer_replication": [[0, 2], [0, 2]]},
        {"some_method_of_tomorrow": {"strength": 2}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_more_than_a_plain_lora_is_refused_by_name(tmp_path: Path, options: dict[str, Any]) -> None:
    folder = save_adapter(tmp_path, small_llama())
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **options}))
    error = refused(folder)
    assert next(iter(options)) in error.message
    assert "merge_and_unload" in error.hint


def test_other_methods_than_lora_are_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "IA3"}))
    error = refused(tmp_path)
    assert "of the kind IA3" in error.message


def wanted(**lora: Any) -> Settings:
    return Settings.model_validate({"data": {"source": "demo"}, "lora": {"rank": 4, **lora}})


def test_targets_that_the_model_lacks_are_said_with_those_that_it_has() -> None:
    for targets in (["c_attn"], ["q_proj", "c_attn"]):
        with pytest.raises(SettingsError) as caught, torch.device("meta"):
            planned(wanted(target_modules=targets))(small_llama())
        assert "lora.target_modules" in caught.value.message
        assert "down_proj, gate_proj" in caught.value.hint


def test_all_linear_layers_but_the_vocabulary_get_an_adapter() -> None:
    with torch.device("meta"):
        network = planned(wanted())(small_llama())
    found = resolve_modules(network, ModuleSettings(group="all"))
    assert len(found) == 2 * 2 * len(LAYERS)
    assert not any("lm_head" in name for name, _ in network.named_modules() if "lora" in name)


def test_the_network_of_a_model_without_adapter_is_itself() -> None:
    model = small_llama()
    assert network_of(model) is model
