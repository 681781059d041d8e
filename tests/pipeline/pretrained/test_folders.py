"""Folders that hold something else than one whole model: one clear refusal each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import ModelError
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.tokenizers import pretrained_tokenizer
from pipeline.model import build_model, check_weights, model_config
from tests.small_models import save_folder, small_llama, small_tokenizer

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder; to be copied."""
    return save_folder(small_llama(), tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return small_tokenizer()


def settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {"data": {"source": "demo", "max_tokens": 64}, "model": {"name": str(folder)}}
    )


def refused_before_work(folder: Path, tokenizer: PreTrainedTokenizerBase) -> ModelError:
    """What prepare says, before it reads the corpus and without loading weights."""
    with pytest.raises(ModelError) as caught:
        check(folder, tokenizer)
    return caught.value


def check(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    assert model_config(settings(folder), tokenizer).model_type == "llama"
    check_weights(settings(folder))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def change_config(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def save_adapter(folder: Path) -> None:
    get_peft_model(small_llama(), LoraConfig(target_modules=["q_proj"])).save_pretrained(
        str(folder)
    )


def test_a_whole_model_is_accepted(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    check(folder, tokenizer)


def test_an_adapter_is_no_model(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    save_adapter(tmp_path)
    error = refused_before_work(tmp_path, tokenizer)
    assert "holds an adapter, not a model" in error.message
    assert "model.trained" in error.hint


def test_an_adapter_beside_a_whole_model_is_not_left_out_in_silence(
    folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    save_adapter(folder)
    assert "a whole model and an adapter" in refused_before_work(folder, tokenizer).message


def test_the_checkpoints_of_a_training_are_listed(
    whole: Path, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    for step in (500, 1000):
        shutil.copytree(whole, tmp_path / f"checkpoint-{step}")
    error = refused_before_work(tmp_path, tokenizer)
    assert "2 checkpoints" in error.message
    assert "checkpoint-1000, checkpoint-500" in error.hint
    model_config(settings(tmp_path / "checkpoint-500"), tokenizer)


def test_pointers_of_git_lfs_are_no_weights(
    folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    (folder / "model.safetensors").write_text(POINTER)
    error = refused_before_work(folder, tokenizer)
    assert "model.safetensors is a Git LFS pointer" in error.message
    assert "git lfs pull" in error.hint


def test_a_pointer_is_no_tokenizer_either(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(POINTER)
    with pytest.raises(ModelError, match=r"tokenizer\.json is a Git LFS pointer"):
        pretrained_tokenizer(settings(folder))


def test_a_tokenizer_without_words_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="every word would be unknown"):
        pretrained_tokenizer(settings(folder))


def test_missing_shards_are_named(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    index = {"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    error = refused_before_work(folder, tokenizer)
    assert "lacks model-00002-of-00002.safetensors" in error.message


def test_extra_layers_are_not_dropped(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    change_config(folder, num_hidden_layers=1, layer_types=None)
    error = refused_before_work(folder, tokenizer)
    assert "model.layers.1" in error.message
    assert "no place for" in error.message


def test_extra_tensors_are_not_dropped(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    change_weights(folder, lambda w: w.update({"v_head.summary.weight": torch.zeros(1, 32)}))
    assert "v_head.summary.weight" in refused_before_work(folder, tokenizer).message


def test_missing_weights_are_not_made_up(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    change_weights(folder, lambda w: w.pop("model.layers.1.mlp.up_proj.weight"))
    error = refused_before_work(folder, tokenizer)
    assert "lacks the weights of 1 tensor, first model.layers.1.mlp.up_proj.weight" in error.message


def test_weights_of_another_shape(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    change_config(folder, intermediate_size=64)
    error = refused_before_work(folder, tokenizer)
    assert "mlp.down_proj.weight: [32, 48] in the file, [32, 64] in the model" in error.message


def test_quantised_weights_are_refused(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    change_config(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [8, 8]})
    assert "quantised (fp8)" in refused_before_work(folder, tokenizer).message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named_when_loaded(
    folder: Path, tokenizer: PreTrainedTokenizerBase, value: float
) -> None:
    change_weights(folder, lambda w: w["model.layers.0.mlp.up_proj.weight"].__setitem__(3, value))
    with pytest.raises(ModelError) as caught:
        build_model(settings(folder), tokenizer)
    assert "no numbers" in caught.value.message
    assert "model.layers.0.mlp.up_proj.weight" in caught.value.message
    assert "learning_rate" not in str(caught.value)


def test_a_folder_that_appeared_later_is_not_taken_for_a_hub_name(
    folder: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    error = refused_before_work(Path("model"), tokenizer)
    assert "there is a folder of that name" in error.message


@pytest.mark.parametrize(
    ("file", "hint"), [("model.gguf", "GGUF"), ("global_step100/x", "zero_to_fp32"), ("a", "a")]
)
def test_what_lies_in_a_folder_without_a_model_is_told(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, file: str, hint: str
) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    error = refused_before_work(tmp_path, tokenizer)
    assert "has no config.json" in error.message
    assert hint in error.hint
