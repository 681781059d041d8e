"""Only decoders of text are analysed; every other kind of model is refused by its configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Llama4Config,
    Llama4ForConditionalGeneration,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralVisionConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)

from pipeline.contract.errors import ModelError
from pipeline.contract.settings.schema import Settings
from pipeline.model import check_weights, require_models
from pipeline.pretrained.kinds import require_text_decoder
from tests.pipeline.influence.architectures import DENSE, EXPERTS, config_of
from tests.small_models import small_tokenizer

MULTIMODAL = MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES | MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
TEXT: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
IMAGES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


def settings(**model: object) -> Settings:
    values = {"data": {"source": "demo", "max_tokens": 64}, "model": model}
    return Settings.model_validate(values)


def refusal(config: PretrainedConfig) -> ModelError:
    with pytest.raises(ModelError) as caught:
        require_text_decoder(config, "model.name: theirs")
    assert caught.value.message.startswith("model.name: theirs ")
    assert caught.value.hint
    return caught.value


def gemma3() -> PreTrainedModel:
    config = Gemma3Config(text_config=TEXT, vision_config=IMAGES, mm_tokens_per_image=1)
    return Gemma3ForConditionalGeneration(config)


def llava() -> PreTrainedModel:
    images = CLIPVisionConfig(**IMAGES)
    config = LlavaConfig(text_config=LlamaConfig(**TEXT), vision_config=images, image_token_index=5)
    return LlavaForConditionalGeneration(config)


def mistral3() -> PreTrainedModel:
    text, images = MistralConfig(**TEXT), PixtralVisionConfig(**IMAGES)
    return Mistral3ForConditionalGeneration(Mistral3Config(text_config=text, vision_config=images))


@pytest.mark.parametrize("name", DENSE | EXPERTS)
def test_a_decoder_is_accepted(name: str) -> None:
    require_text_decoder(config_of(name), name)


@pytest.mark.parametrize(
    ("kind", "model", "decoder"),
    [
        ("llava", "LlavaForConditionalGeneration", "LlamaForCausalLM"),
        ("gemma3", "Gemma3ForConditionalGeneration", "Gemma3ForCausalLM"),
        ("mistral3", "Mistral3ForConditionalGeneration", "MistralForCausalLM"),
        ("qwen2_audio", "Qwen2AudioForConditionalGeneration", "Qwen2ForCausalLM"),
        ("qwen2_vl", "Qwen2VLForConditionalGeneration", "no class for"),
        ("git", "GitForCausalLM", "no class for"),
    ],
)
def test_a_multimodal_model_is_refused_and_its_decoder_named(
    kind: str, model: str, decoder: str
) -> None:
    error = refusal(AutoConfig.for_model(kind))
    assert f"is a multimodal model ({model})" in error.message
    assert decoder in error.hint


def test_of_all_multimodal_models_only_those_that_load_as_decoders_of_text_are_accepted() -> None:
    for kind, model in MULTIMODAL.items():
        if MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(kind, model) == model:
            assert "is a multimodal model" in refusal(CONFIG_MAPPING[kind]()).message
        else:
            require_text_decoder(CONFIG_MAPPING[kind](), kind)


@pytest.mark.parametrize("kind", ["t5", "bart", "pegasus", "whisper", "musicgen"])
def test_an_encoder_with_a_decoder_is_refused(kind: str) -> None:
    error = refusal(AutoConfig.for_model(kind))
    assert f"(model type {kind!r}) is an encoder with a decoder" in error.message
    assert "decoder-only" in error.hint


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "modernbert", "clip_text_model"])
def test_an_encoder_is_refused(kind: str) -> None:
    error = refusal(AutoConfig.for_model(kind))
    assert f"(model type {kind!r}) is an encoder: it sees" in error.message
    assert "decoder-only" in error.hint


def test_every_model_of_masked_words_is_refused_unless_it_is_made_a_decoder() -> None:
    for kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        assert "is an encoder" in refusal(CONFIG_MAPPING[kind]()).message
    require_text_decoder(AutoConfig.for_model("bert", is_decoder=True), "bert")


@pytest.mark.parametrize("kind", ["vit", "wav2vec2", "timesfm"])
def test_what_reads_no_text_is_refused(kind: str) -> None:
    error = refusal(AutoConfig.for_model(kind))
    assert f"(model type {kind!r}) is no language model" in error.message


@pytest.mark.parametrize("method", ["gptq", "awq", "fp8", "bitsandbytes"])
def test_a_quantised_model_is_refused(method: str) -> None:
    config = AutoConfig.for_model("llama", quantization_config={"quant_method": method})
    assert f"is quantised ({method})" in refusal(config).message


@pytest.mark.parametrize("setting", ["name", "trained"])
def test_the_base_and_the_trained_model_are_both_looked_at(tmp_path: Path, setting: str) -> None:
    AutoConfig.for_model("llava").save_pretrained(tmp_path / "images")
    AutoConfig.for_model("llama").save_pretrained(tmp_path / "text")
    both = {"name": str(tmp_path / "text"), "trained": str(tmp_path / "text")}
    require_models(settings(**both))
    with pytest.raises(ModelError, match=f"model.{setting}: .* is a multimodal model"):
        require_models(settings(**both | {setting: str(tmp_path / "images")}))


@pytest.mark.parametrize("make", [gemma3, llava, mistral3])
def test_the_readmes_lines_save_the_text_decoder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    whole = make()
    whole.train(False)
    whole.save_pretrained(tmp_path / "whole")
    small_tokenizer().save_pretrained(tmp_path / "whole")
    readme = Path("README.md").read_text(encoding="utf-8")
    (lines,) = (b for b in re.findall(r"```python\n(.*?)```", readme, re.S) if "get_decoder" in b)
    monkeypatch.chdir(tmp_path)
    exec(lines, {})
    check_weights(settings(name=str(tmp_path / "text")))
    alone = AutoModelForCausalLM.from_pretrained("text")
    ids = torch.arange(9)[None]
    with torch.no_grad():
        assert torch.equal(alone(input_ids=ids).logits, whole(input_ids=ids).logits)


def test_a_model_that_transformers_loads_as_its_text_decoder_is_accepted(tmp_path: Path) -> None:
    """Its other weights are left out by transformers' own rules."""
    linear = dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8)
    heads = dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 2)
    images = {"depth": 1, "hidden_size": 16, "intermediate_size": 24, "num_heads": 2}
    images |= {"out_hidden_size": 16, "num_position_embeddings": 16}
    kinds = ["linear_attention", "full_attention"]
    text = TEXT | linear | heads | {"layer_types": kinds}
    config = Qwen3_5Config(text_config=text, vision_config=images)
    Qwen3_5ForConditionalGeneration(config).save_pretrained(tmp_path)
    check_weights(settings(name=str(tmp_path)))


def test_weights_for_images_that_no_rule_leaves_out_are_refused(tmp_path: Path) -> None:
    widths = dict.fromkeys(("vision_output_dim", "projector_input_dim", "projector_output_dim"), 16)
    config = Llama4Config(
        text_config=TEXT | {"num_local_experts": 2, "intermediate_size_mlp": 24},
        vision_config=IMAGES | widths,
    )
    Llama4ForConditionalGeneration(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"multi_modal_projector.* no place for") as caught:
        check_weights(settings(name=str(tmp_path)))
    assert "save the text decoder alone" in caught.value.hint
