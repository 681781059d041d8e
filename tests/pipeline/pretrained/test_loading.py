"""Whatever a model's folder says, none of its code runs and no kernel is fetched for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.modeling_utils
from transformers import (
    BloomConfig,
    Gemma3Config,
    Gemma3TextConfig,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    SiglipVisionConfig,
)

from pipeline.contract.errors import ModelError
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.tokenizers import pretrained_tokenizer
from pipeline.influence.coverage import examine
from pipeline.model import check_weights, load_model, load_pretrained, pretrained_config
from pipeline.pretrained.loading import load_config, load_network, new_network
from tests.small_models import SHAPE, save_folder, small_llama, small_tokenizer

KERNEL = "someone/kernel"
CODE = """
from pathlib import Path
Path({told!r}).touch()
from transformers import LlamaConfig as Config, LlamaForCausalLM as Model
from transformers import PreTrainedTokenizerFast as Tokenizer
"""
CLASSES = {
    "AutoConfig": "code.Config",
    "AutoModelForCausalLM": "code.Model",
    "AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"],
}


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def settings(folder: Path) -> Settings:
    model = {"init": "pretrained", "name": str(folder)}
    return Settings.model_validate({"data": {"source": "demo", "max_tokens": 64}, "model": model})


def whole(folder: Path) -> PreTrainedModel:
    return load_pretrained(settings(folder), small_tokenizer(), str(folder), "model.name")


def written_by_a_stage(folder: Path) -> PreTrainedModel:
    return load_model(folder, torch.device("cpu"))


def shapes_alone(folder: Path) -> None:
    check_weights(settings(folder))


def traced_share(folder: Path) -> None:
    examine(pretrained_config(str(folder)), settings(folder).modules)


def tokenizer(folder: Path) -> None:
    pretrained_tokenizer(settings(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_folder(small_llama(), tmp_path / "model")


@pytest.mark.parametrize("kind", ["unheard-of", "llama"])
@pytest.mark.parametrize("load", [whole, written_by_a_stage, shapes_alone, traced_share, tokenizer])
def test_a_models_own_code_never_runs_whatever_is_answered(
    folder: Path,
    load: Callable[[Path], object],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = tmp_path / "it ran"
    (folder / "code.py").write_text(CODE.format(told=str(told)))
    change(folder / "config.json", model_type=kind, auto_map=CLASSES)
    change(folder / "tokenizer_config.json", tokenizer_class="Unheard", auto_map=CLASSES)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    asked: list[str] = []

    def agree(question: str = "") -> str:
        asked.append(question)
        return "y"

    monkeypatch.setattr("builtins.input", agree)
    try:
        load(folder)
    except (ModelError, ValueError) as error:
        assert "custom code" in str(error) or "model type" in str(error)  # noqa: PT017
    assert not told.exists()
    assert not asked


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the kernels that transformers would have fetched from the hub and run."""
    fetched: list[str] = []

    def fetch(name: str, **_options: object) -> None:
        fetched.append(name)

    monkeypatch.setattr(transformers.modeling_utils, "lazy_import_flash_attention", fetch)
    return fetched


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("load", [whole, written_by_a_stage, shapes_alone, traced_share])
def test_attention_is_never_a_kernel_that_a_configuration_names(
    folder: Path, fetched: list[str], load: Callable[[Path], PreTrainedModel | None], key: str
) -> None:
    change(folder / "config.json", **{key: KERNEL})
    model = load(folder)
    assert not fetched
    if model is not None:
        assert model.config._attn_implementation == "sdpa"
        ids = torch.arange(3, 19)[None]
        assert torch.equal(model(input_ids=ids).logits, small_llama()(input_ids=ids).logits)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_nor_one_that_a_part_of_it_names(tmp_path: Path, fetched: list[str], key: str) -> None:
    config = Gemma3Config(
        text_config=Gemma3TextConfig(**SHAPE, head_dim=16, vocab_size=300),
        vision_config=SiglipVisionConfig(hidden_size=24, intermediate_size=24, num_hidden_layers=1),
    )
    config.save_pretrained(tmp_path)
    parts = json.loads((tmp_path / "config.json").read_text())
    change(tmp_path / "config.json", text_config={**parts["text_config"], key: KERNEL})
    new_network(load_config(tmp_path)).save_pretrained(tmp_path)
    change(tmp_path / "config.json", text_config={**parts["text_config"], key: KERNEL})
    model = load_network(tmp_path)
    assert not fetched
    assert model.config.get_text_config()._attn_implementation == "sdpa"


@pytest.mark.parametrize("name", ["sonicmoe", "deepgemm"])
def test_experts_are_computed_by_pytorch_alone(tmp_path: Path, name: str) -> None:
    mixture = MixtralForCausalLM(MixtralConfig(**SHAPE, vocab_size=300, num_local_experts=2))
    folder = save_folder(mixture, tmp_path / "mixture")
    change(folder / "config.json", experts_implementation=name)
    assert whole(folder).config._experts_implementation not in (name, None)


def test_an_architecture_that_has_no_fused_attention_gets_the_plain_one(tmp_path: Path) -> None:
    config = BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=2)
    assert new_network(config).config._attn_implementation == "eager"
