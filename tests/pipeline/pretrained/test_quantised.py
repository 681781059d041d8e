"""Rounded bases: gradients at an adapter's matrices are right, and what cannot be is refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit, Linear8bitLt
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.training import read_training
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import ModuleSettings, Settings
from pipeline.influence.modules import resolve_modules
from pipeline.model import load_model
from pipeline.pretrained.quantised import quantised, require_quantiser
from pipeline.stages import factors, generate, scores, train
from tests.pipeline.pretrained.test_adapters import save_adapter
from tests.small_models import save_folder, small_llama, small_qwen3
from tests.small_runs import prepare_run, run_here

CPU = torch.device("cpu")
IDS = torch.arange(3, 19)[None]
KINDS: dict[str, type[nn.Module]] = {"8bit": Linear8bitLt, "4bit": Linear4bit}


def adapter_gradients(base: PreTrainedModel) -> dict[str, Tensor]:
    """Of one text's loss, at the matrices of an adapter that is the same on every base."""
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "down_proj"])
    torch.manual_seed(5)
    adapted = get_peft_model(base, config)
    trained = {name: w for name, w in adapted.named_parameters() if w.requires_grad}
    with torch.no_grad():
        for weight in trained.values():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)) / 9)
    adapted(input_ids=IDS, labels=IDS).loss.backward()
    return {name: weight.grad for name, weight in trained.items() if weight.grad is not None}


def whole_weights(rounded: PreTrainedModel, plain: PreTrainedModel) -> PreTrainedModel:
    """An ordinary model with the numbers that the rounded weights stand for."""
    for name, module in rounded.named_modules():
        if isinstance(module, Linear4bit):
            weight = dequantize_4bit(module.weight.data, module.weight.quant_state)
        elif isinstance(module, Linear8bitLt):
            scales: Any = module.weight.SCB
            weight = module.weight.data.float() * scales[:, None] / 127
        else:
            continue
        plain.get_parameter(f"{name}.weight").data.copy_(weight)
    return plain


def cosine(one: dict[str, Tensor], other: dict[str, Tensor]) -> Iterator[float]:
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        pair = (gradient.flatten().double(), other[name].flatten().double())
        yield float(torch.nn.functional.cosine_similarity(*pair, dim=0))


@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("make", [small_llama, small_qwen3])
def test_gradients_at_the_adapter_are_those_on_the_rounded_numbers(
    wanted: str, make: Any, tmp_path: Path
) -> None:
    def rounded() -> PreTrainedModel:
        return quantised(make(), wanted, CPU, tmp_path / "whole")

    found = adapter_gradients(rounded())
    expected = adapter_gradients(whole_weights(rounded(), make()))
    # 8 bit also rounds what goes into a layer, to one part in 127 of the largest number in a row
    assert min(cosine(found, expected)) > (1 - 1e-6 if wanted == "4bit" else 1 - 1e-3)
    assert len(found) == 2 * 2 * 2
    against_unrounded = list(cosine(found, adapter_gradients(make())))
    # 16 values a weight: a weight is off by a tenth, and random weights keep no direction
    assert min(against_unrounded) > (0.99 if wanted == "8bit" else 0.6)
    assert max(against_unrounded) < 1


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that trained an adapter on a rounded base and traced it; to be read only."""
    root = tmp_path_factory.mktemp(request.param)
    run = prepare_run(
        root / "run",
        model={
            "init": "pretrained",
            "name": str(save_folder(small_llama(), root / "base")),
            "quantization": request.param,
        },
        lora={"rank": 4, "alpha": 8},
        train={"epochs": 2.0, "learning_rate": 1e-2},
        modules={"group": "all"},
        generate={"max_new_tokens": 4},
    )
    run_here(run, train, factors, scores, generate)
    return run


def test_an_adapter_on_a_rounded_base_learns_and_is_traced(run: RunDir) -> None:
    found = read_training(run)
    assert found.validation_loss is not None
    assert found.base_validation_loss is not None
    assert found.validation_loss < found.base_validation_loss - 0.2
    model = load_model(run.model, CPU)
    kind = KINDS[run.root.parent.name.rstrip("0123456789")]
    assert isinstance(model.get_submodule("model.layers.0.mlp.up_proj.base_layer"), kind)
    traced = resolve_modules(model, ModuleSettings())
    assert all(".lora_" in name for name in traced)
    scored = ScoreFile(run).method("ekfac")
    assert scored.shape == (2, 48)
    assert np.isfinite(scored).all()
    assert scored.any()


def test_every_later_stage_sees_the_base_as_it_was_rounded(run: RunDir) -> None:
    size = (run.base / "model.safetensors").stat().st_size
    whole = small_llama()
    linear = sum(module.weight.numel() for module in whole.modules() if type(module) is nn.Linear)
    of_others = whole.num_parameters() - linear + whole.lm_head.weight.numel()
    assert size < 4 * of_others + 3 * linear, "the linear layers are smaller than in float32"
    theirs = AutoModelForCausalLM.from_pretrained(run.base, dtype=torch.float32)
    ours = load_model(run.base, CPU)
    assert torch.equal(ours(input_ids=IDS).logits, theirs(input_ids=IDS).logits)
    assert not (run.root / "train/.unrounded").exists()


def test_a_ready_adapter_is_traced_on_a_rounded_base(tmp_path: Path) -> None:
    base = save_folder(small_llama(), tmp_path / "base")
    adapter = save_adapter(tmp_path / "adapter", small_llama())
    values = {"init": "pretrained", "name": str(base), "trained": str(adapter)}
    run = prepare_run(tmp_path / "run", model={**values, "quantization": "4bit"})
    run_here(run, train)
    model = load_model(run.model, CPU)
    assert isinstance(model.get_submodule("model.layers.0.mlp.up_proj.base_layer"), Linear4bit)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"model": {"quantization": "4bit"}}, "needs an adapter"),
        (
            {
                "model": {"quantization": "8bit", "init": "scratch"},
                "lora": {"rank": 4},
                "tokenizer": {"source": "train"},
            },
            "needs an adapter on a pretrained model",
        ),
        (
            {
                "model": {"quantization": "4bit"},
                "lora": {"rank": 4},
                "modules": {"adapter": "merged"},
            },
            "no whole weights",
        ),
    ],
)
def test_rounded_weights_that_would_have_to_take_gradients_are_refused(
    sections: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Settings.model_validate({"data": {"path": "x"}, **sections})


def wanting_4bit(**model: str) -> Settings:
    return Settings.model_validate(
        {
            "data": {"path": "x"},
            "model": {"quantization": "4bit", **model},
            "lora": {"rank": 0 if model.get("trained") else 4},
        }
    )


def test_without_the_library_it_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="needs the library bitsandbytes") as caught:
        require_quantiser(wanting_4bit(name="base"))
    assert "uv pip install bitsandbytes" in caught.value.hint


def test_a_whole_model_that_was_trained_elsewhere_is_not_rounded(tmp_path: Path) -> None:
    whole = save_folder(small_llama(), tmp_path / "whole")
    with pytest.raises(ModelError, match="is a whole model"):
        require_quantiser(wanting_4bit(name="base", trained=str(whole)))
