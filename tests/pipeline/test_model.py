"""Models: the shapes that are promised, and every misfit said before any training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from pipeline.contract.errors import ModelError, UsageError
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.model import (
    PRESETS,
    build_model,
    compute_dtype,
    load_model,
    load_tokenizer,
    preset_config,
    save_model,
    select_device,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(["the river runs past the mill"], vocab_size=300)


@pytest.fixture(scope="module")
def folder(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved nano model."""
    path = tmp_path_factory.mktemp("saved") / "model"
    save_model(build_model(scratch(), tokenizer), tokenizer, path)
    return path


def scratch(**sections: dict[str, Any]) -> Settings:
    base = {"data": {"source": "demo", "max_tokens": 64}, "tokenizer": {"source": "train"}}
    return Settings.model_validate({**base, "model": {"init": "scratch"}, **sections})


def pretrained(name: Path | str, **sections: dict[str, Any]) -> Settings:
    return scratch(model={"init": "pretrained", "name": str(name)}, **sections)


@pytest.mark.parametrize(
    ("preset", "vocab_size", "parameters"),
    [
        ("tinyllama-1.1b", 32_000, range(1_100_048_384, 1_100_048_385)),
        ("small", 32_000, range(25_000_000, 30_000_000)),
        ("micro", 32_000, range(4_000_000, 7_000_000)),
        ("nano", 2_048, range(500_000, 1_500_000)),
    ],
)
def test_a_preset_has_the_size_it_promises(
    tokenizer: PreTrainedTokenizerBase, preset: str, vocab_size: int, parameters: range
) -> None:
    config = preset_config(preset, tokenizer)
    config.vocab_size = vocab_size
    with torch.device("meta"):
        assert LlamaForCausalLM(config).num_parameters() in parameters


def test_tinyllama_has_the_published_configuration(tokenizer: PreTrainedTokenizerBase) -> None:
    config = preset_config("tinyllama-1.1b", tokenizer).to_dict()
    published = {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "hidden_act": "silu",
        "attention_bias": False,
    }
    assert {key: config[key] for key in published} == published
    assert config["rope_parameters"]["rope_theta"] == 10_000


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_speaks_the_tokenizers_language(
    tokenizer: PreTrainedTokenizerBase, preset: str
) -> None:
    config = preset_config(preset, tokenizer)
    assert config.vocab_size == len(tokenizer)
    assert config.bos_token_id == tokenizer.bos_token_id
    assert config.eos_token_id == tokenizer.eos_token_id


def test_a_model_from_scratch_has_an_embedding_for_every_id_beyond_a_hole(tmp_path: Path) -> None:
    train_tokenizer(["The sea"], 300).save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["vocab"]["<rare>"] = 349
    told["added_tokens"].append(
        {"id": 349, "content": "<rare>", "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
    )  # fmt: skip
    file.write_text(json.dumps(told))
    holed = load_tokenizer(tmp_path)
    assert holed.convert_tokens_to_ids("<rare>") == 349
    assert len(holed) < 349
    model = build_model(scratch(), holed)
    assert next(model.get_input_embeddings().parameters()).shape[0] == 350


def test_the_seed_decides_the_weights(tokenizer: PreTrainedTokenizerBase) -> None:
    def first(seed: int) -> torch.Tensor:
        return next(build_model(scratch(run={"seed": seed}), tokenizer).parameters())

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_a_saved_model_is_as_open_as_the_umask_and_the_one_before_it(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    model = build_model(scratch(), tokenizer)
    before = os.umask(0o027)
    try:
        save_model(model, tokenizer, folder)
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}
        (folder / "model.safetensors").chmod(0o600)
        save_model(model, tokenizer, folder)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes.pop("model.safetensors") == 0o600
    assert set(modes.values()) == {0o640}


def test_a_saved_model_comes_back_the_same_and_ready_to_evaluate(
    folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    loaded = load_model(folder, CPU)
    made = build_model(scratch(), tokenizer)
    assert not loaded.training
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.parameters(), made.parameters(), strict=True)
    )
    assert load_tokenizer(folder).get_vocab() == tokenizer.get_vocab()
    assert load_model(folder, CPU, torch.bfloat16).dtype == torch.bfloat16


def test_a_local_folder_is_a_pretrained_model(
    folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    model = build_model(pretrained(folder), tokenizer)
    assert model.dtype == torch.float32
    assert torch.equal(next(model.parameters()), next(load_model(folder, CPU).parameters()))


def test_saving_again_leaves_nothing_of_the_old_model(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old.safetensors").write_text("old")
    save_model(build_model(scratch(), tokenizer), tokenizer, tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not (tmp_path / "model" / "old.safetensors").exists()


def refused(settings: Settings, tokenizer: PreTrainedTokenizerBase) -> str:
    with pytest.raises(ModelError) as caught:
        build_model(settings, tokenizer)
    return str(caught.value)


def test_a_folder_that_is_not_there(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    message = refused(pretrained(tmp_path / "gone"), tokenizer)
    assert message == f"model.name: there is no folder {tmp_path / 'gone'}"


def test_a_folder_without_weights(
    folder: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    shutil.copy(folder / "config.json", tmp_path)
    assert "model.safetensors" in refused(pretrained(tmp_path), tokenizer)


def test_a_folder_with_torn_weights(
    folder: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    shutil.copy(folder / "config.json", tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-10])
    assert str(tmp_path) in refused(pretrained(tmp_path), tokenizer)


def test_absent_weights_are_not_made_up(
    folder: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    shutil.copy(folder / "config.json", tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.up_proj.weight" in refused(pretrained(tmp_path), tokenizer)


def test_pieces_that_no_text_makes_use_of_need_no_embedding(folder: Path) -> None:
    larger = train_tokenizer(["a river and a mill, and many more words than that"], 320)
    model = build_model(pretrained(folder), larger)
    assert next(model.get_input_embeddings().parameters()).shape[0] < len(larger)


def test_chunks_longer_than_the_context(tokenizer: PreTrainedTokenizerBase) -> None:
    longer = scratch(data={"source": "demo", "max_tokens": 600})
    assert "data.max_tokens = 600" in refused(longer, tokenizer)
    assert "512" in refused(longer, tokenizer)


OUT_OF_REACH = """
import json, sys
from pathlib import Path
from pipeline.contract.errors import HubUnreachableError
from pipeline.contract.settings.schema import Settings
from pipeline.model import build_model, load_tokenizer
settings = Settings.model_validate(json.loads(sys.argv[1]))
try:
    build_model(settings, load_tokenizer(Path(sys.argv[2])))
except HubUnreachableError as error:
    print(error)
"""


def test_without_the_hub_it_says_how_to_use_a_local_folder(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    settings = pretrained("nobody/no-such-model").model_dump(mode="json")
    command = [sys.executable, "-c", OUT_OF_REACH, json.dumps(settings), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    first, hint = done.stdout.strip().splitlines()
    assert first == "the hub does not answer, and 'nobody/no-such-model' is not cached here"
    assert "local folder in model.name" in hint


def test_a_gpu_that_is_not_there_is_said() -> None:
    if torch.cuda.is_available():
        assert select_device(scratch(run={"device": "cuda"})).type == "cuda"
        return
    with pytest.raises(UsageError, match=r"run\.device"):
        select_device(scratch(run={"device": "cuda"}))
    assert select_device(scratch()) == CPU


def test_precision_is_as_asked_and_full_on_the_cpu() -> None:
    assert compute_dtype(scratch(), CPU) == torch.float32
    assert compute_dtype(scratch(train={"precision": "bfloat16"}), CPU) == torch.bfloat16
    assert compute_dtype(scratch(train={"precision": "float32"}), CPU) == torch.float32
