"""Builds, loads and saves models and tokenizers, and checks that they fit each other."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pipeline.contract.errors import ModelError, UsageError
from pipeline.contract.files import mode_for
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.pretrained.decoding import decode_plainly, keep_ends_alone
from pipeline.pretrained.folders import is_adapter, require_model, require_weights
from pipeline.pretrained.hub import from_hub_or_folder
from pipeline.pretrained.kinds import require_text_decoder
from pipeline.pretrained.loading import (
    is_quantised,
    load_config,
    load_network,
    load_tokenizer_of,
)
from pipeline.pretrained.quantised import load_quantised, require_quantiser
from pipeline.pretrained.sources import NAME, analysed, base_name, whole_models
from pipeline.pretrained.weights import load_complete, require_all_named

if TYPE_CHECKING:  # as long to import as PyTorch, with bitsandbytes: only adapters need it
    from peft import PeftModel


@dataclass(frozen=True)
class Preset:
    """Shape of a Llama model from scratch; the tokenizer gives the size of the vocabulary."""

    layers: int
    width: int
    mlp_width: int
    heads: int
    kv_heads: int
    context: int
    tied: bool = True
    """Whether the vocabulary projection shares the embedding's weights."""
    initializer_range: float = 0.02


PRESETS: dict[str, Preset] = {
    # 0.9 M parameters with a vocabulary of 2,048: learns the demo's corpus in a minute on two cores
    "nano": Preset(3, 128, 352, heads=4, kv_heads=4, context=512, initializer_range=0.05),
    # 6 M with a vocabulary of 32,000
    "micro": Preset(4, 160, 432, heads=5, kv_heads=5, context=1024),
    # 26 M with a vocabulary of 32,000
    "small": Preset(8, 384, 1024, heads=6, kv_heads=6, context=1024),
    # the shape of TinyLlama/TinyLlama_v1.1: 1,100,048,384 parameters
    "tinyllama-1.1b": Preset(22, 2048, 5632, heads=32, kv_heads=4, context=2048, tied=False),
}


def select_device(settings: Settings) -> torch.device:
    """The device of run.device; "auto" is a GPU if there is one.

    Raises:
        UsageError: "cuda" is asked for and there is none.
    """
    wanted = settings.run.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            'run.device = "cuda", but no GPU is in reach', "`headwater doctor` says why"
        )
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def compute_dtype(settings: Settings, device: torch.device) -> torch.dtype:
    """The dtype of the forward and backward pass; weights and optimiser states stay float32."""
    if settings.train.precision == "auto":
        # False: emulated bfloat16 does not count, it is slower than float32
        has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported(False)
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return torch.bfloat16 if settings.train.precision == "bfloat16" else torch.float32


def preset_config(name: str, tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
    """The configuration of a model from scratch with the tokenizer's vocabulary."""
    shape = PRESETS[name]
    return LlamaConfig(
        vocab_size=highest_id(tokenizer) + 1,
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tied,
        initializer_range=shape.initializer_range,
        rms_norm_eps=1e-5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        # a padding token's embedding gets no gradient, even if the token also ends sequences
        pad_token_id=None,
    )


def pretrained_config(name: str, setting: str = NAME) -> PretrainedConfig:
    """The configuration of a hub model or a local folder.

    Raises:
        HubUnreachableError: see `from_hub_or_folder`.
        ModelError: likewise; a folder holds no whole model; or see `require_text_decoder`.
    """
    if Path(name).is_absolute() and Path(name).is_dir():
        require_model(Path(name), setting)
    config: PretrainedConfig = from_hub_or_folder(load_config, name, setting)
    require_text_decoder(config, f"{setting}: {name}")
    return config


def require_models(settings: Settings) -> None:
    """Checks by their configurations that all models of the settings are there, and can be traced.

    Raises:
        HubUnreachableError, ModelError: see `pretrained_config` and `require_quantiser`.
        SettingsError: see `require_quantiser`.
    """
    require_quantiser(settings)
    for name, setting in whole_models(settings):
        pretrained_config(name, setting)


def model_config(settings: Settings, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """The configuration of the model that is analysed, checked against the chunk length.

    Raises:
        ModelError: it does not fit, or there is no such model.
        HubUnreachableError: a hub model is wanted and the hub does not answer.
    """
    config = (
        preset_config(settings.model.preset, tokenizer)
        if settings.model.init == "scratch"
        else pretrained_config(*analysed(settings))
    )
    check_compatible(config, settings)
    return config


def build_model(settings: Settings, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The model before training, in float32 on the CPU; the seed decides weights from scratch.

    Raises:
        ModelError: see `model_config`; or a folder's weights are not all there, or no numbers.
        HubUnreachableError: a hub model is wanted and the hub does not answer.
    """
    if settings.model.init == "scratch":
        config = model_config(settings, tokenizer)
        assert isinstance(config, LlamaConfig)
        torch.manual_seed(settings.run.seed)
        model: PreTrainedModel = LlamaForCausalLM(config)
        decode_plainly(model, tokenizer)
        return model
    return load_pretrained(settings, tokenizer, base_name(settings), NAME)


def load_pretrained(
    settings: Settings, tokenizer: PreTrainedTokenizerBase, name: str, setting: str
) -> PreTrainedModel:
    """A whole model of a folder or of the hub, in float32 on the CPU.

    `setting`: the setting that gave the name, for the messages.

    Raises:
        ModelError: it does not fit tokenizer and chunk length; its weights are not all there, more
            than all, or no numbers.
        HubUnreachableError: it is on the hub and the hub does not answer.
    """
    check_compatible(pretrained_config(name, setting), settings)
    model = from_hub_or_folder(load_complete, name, setting)
    decode_plainly(model, tokenizer)
    return model


def check_weights(settings: Settings) -> None:
    """Checks by names and shapes, before any work, that local folders hold all that they must.

    Weights that are no numbers are found when they are loaded.

    Raises:
        ModelError: see `load_pretrained`.
        HubUnreachableError: a configuration is on the hub, and the hub does not answer.
    """
    for name, setting in whole_models(settings):
        config = pretrained_config(name, setting)
        check_compatible(config, settings)
        if Path(name).is_dir():
            require_weights(Path(name), setting)
            require_all_named(Path(name), config)


def check_compatible(config: PretrainedConfig, settings: Settings) -> None:
    """Checks, before any training, that the model reads sequences as long as the chunks.

    Whether it has embeddings for the tokens is checked where these are made: a tokenizer may have
    more pieces than any text makes use of.

    Raises:
        ModelError: chunks are longer than the context.
    """
    context = context_length(config)
    if context is not None and settings.data.max_tokens > context:
        raise ModelError(
            f"data.max_tokens = {settings.data.max_tokens} is more than the model's context, "
            f"{context}",
            f"set data.max_tokens to {context} or less",
        )


def embedding_count(config: PretrainedConfig) -> int | None:
    """How many token embeddings the model has; None where the configuration does not say."""
    count: int | None = getattr(config.get_text_config(), "vocab_size", None)
    return count


def highest_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The largest id that the tokenizer can give; ids may have holes, so it may have fewer."""
    return max(tokenizer.get_vocab().values())


def context_length(config: PretrainedConfig) -> int | None:
    """Maximum tokens of a sequence; None if the model has no limit."""
    limit: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    return limit


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Loads a tokenizer that an earlier stage saved."""
    # local only: an earlier stage saved it, so a missing file is no reason to ask the hub
    return load_tokenizer_of(folder, local_files_only=True)


def load_model(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    merged: bool = False,
) -> PreTrainedModel:
    """Loads a model that an earlier stage saved, in evaluation mode.

    An adapter's base lies beside it, in `base`. With `merged` its matrices become part of the
    weights that they sit on, else they are modules of their own and alone take gradients.
    """
    adapted = is_adapter(folder)
    whole = folder.with_name("base") if adapted else folder
    model: PreTrainedModel
    if is_quantised(load_config(whole, local_files_only=True)):
        model = load_quantised(whole, device, dtype)
    else:
        model = load_network(whole, local_files_only=True, dtype=dtype).to(device).eval()
    keep_ends_alone(model)
    if not adapted:
        return model
    from pipeline.pretrained.adapters import network_of, with_ready_adapter

    with_adapter = with_ready_adapter(model, folder, str(folder)).eval()
    if merged:
        whole_weights: PreTrainedModel = with_adapter.merge_and_unload()
        return whole_weights.requires_grad_(True)
    return network_of(with_adapter)


def require_base(run: RunDir) -> None:
    """Checks that there is a model to compare the trained one with.

    Raises:
        ModelError: the model was trained elsewhere, and the settings do not say from which; or
            somebody has deleted the base.
    """
    if not run.base.exists():
        raise ModelError(
            f"there is no base to compare the model with: {run.base} is missing",
            "name the model that model.trained was trained from in model.name; a base that was "
            f"deleted comes back by `headwater run train --force --run {run.name}`",
        )


def load_traced(settings: Settings, model: Path) -> PreTrainedModel:
    """Loads the trained model as influence looks at it: see modules.adapter."""
    merged = settings.modules.adapter == "merged"
    return load_model(model, select_device(settings), merged=merged)


def save_model(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Writes model and tokenizer to a folder that appears only when it is complete.

    Of a model with an adapter, the adapter alone.
    """
    temporary = folder.with_name(f".{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    if not isinstance(model, PreTrainedModel):
        # nothing of the base is saved; peft would ask the hub whether its vocabulary has changed
        model.save_pretrained(str(temporary), save_embedding_layers=False)
    else:
        model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    for file in temporary.iterdir():
        # weights are saved readable by their owner only
        file.chmod(mode_for(folder / file.name, temporary))
        # on the disk before the rename: a crash must not leave empty files under the final name
        with file.open("rb") as written:
            os.fsync(written.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
