"""Builds, loads and saves models and tokenizers, and checks that they fit each other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from pipeline.contract.errors import HubUnreachableError, ModelError, UsageError
from pipeline.contract.settings.schema import Settings

T = TypeVar("T")


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


def pretrained_config(name: str) -> PretrainedConfig:
    """The configuration of a hub model or a local folder.

    Raises:
        HubUnreachableError, ModelError: see `from_hub_or_folder`.
    """
    config: PretrainedConfig = from_hub_or_folder(AutoConfig.from_pretrained, name, "model.name")
    return config


def model_config(settings: Settings, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """The configuration of the run's model, checked against the chunk length.

    Raises:
        ModelError: it does not fit, or there is no such model.
        HubUnreachableError: a hub model is wanted and the hub does not answer.
    """
    scratch = settings.model.init == "scratch"
    config = (
        preset_config(settings.model.preset, tokenizer)
        if scratch
        else pretrained_config(settings.model.name)
    )
    check_compatible(config, settings)
    return config


def build_model(settings: Settings, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The model before training, in float32 on the CPU; the seed decides weights from scratch.

    Raises:
        ModelError: see `model_config`; or a folder's weights are missing or incomplete.
        HubUnreachableError: a hub model is wanted and the hub does not answer.
    """
    config = model_config(settings, tokenizer)
    if isinstance(config, LlamaConfig) and settings.model.init == "scratch":
        torch.manual_seed(settings.run.seed)
        return LlamaForCausalLM(config)
    return from_hub_or_folder(_load_complete, settings.model.name, "model.name")


def _load_complete(name: str) -> PreTrainedModel:
    """Loads a pretrained model in float32.

    Raises:
        ModelError: weights are missing.
    """
    # transformers would fill missing weights with random ones and go on
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        name, dtype=torch.float32, output_loading_info=True
    )
    model: PreTrainedModel = loaded[0]
    missing = sorted(loaded[1]["missing_keys"])
    if missing:
        raise ModelError(f"{name} lacks the weights of {len(missing)} tensors, first {missing[0]}")
    return model


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
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, local_files_only=True
    )
    return tokenizer


def load_model(
    folder: Path, device: torch.device, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """Loads a model that an earlier stage saved, in evaluation mode."""
    # no attention is asked for: transformers takes sdpa where the architecture has it, else eager
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype)
    moved: PreTrainedModel = model.to(device).eval()
    return moved


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes model and tokenizer to a folder that appears only when it is complete."""
    temporary = folder.with_name(f".{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    for file in temporary.iterdir():
        file.chmod(0o644)  # weights are saved readable by their owner only
        # on the disk before the rename: a crash must not leave empty files under the final name
        with file.open("rb") as written:
            os.fsync(written.fileno())
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def from_hub_or_folder(load: Callable[[str], T], name: str, setting: str) -> T:
    """Calls `load(name)` and turns its errors into clear messages.

    `setting`: the setting that gave the name, for the messages.

    Raises:
        HubUnreachableError: the hub does not answer, or offline mode is on.
        ModelError: the folder, or the repository on the hub, does not exist or cannot be loaded.
    """
    if Path(name).is_absolute() and not Path(name).is_dir():
        raise ModelError(f"{setting}: there is no folder {name}")
    try:
        return load(name)
    except (OSError, ValueError, SafetensorError) as error:
        if not Path(name).is_dir() and _is_connection_failure(error):
            raise _unreachable(name, setting) from error
        raise ModelError(f"{setting} = {name!r}: {_first_line(error)}") from error


def _unreachable(name: str, setting: str) -> HubUnreachableError:
    hint = (
        f"try again with the hub in reach, or name a local folder in {setting}; a model from "
        "scratch needs no hub: `headwater init --profile from-scratch`"
    )
    return HubUnreachableError(f"the hub does not answer, and {name!r} is not cached here", hint)


def _is_connection_failure(error: BaseException | None) -> bool:
    """Whether a failed connection, not a missing file, caused the error."""
    # transformers raises a plain OSError; the cause tells both apart
    while error is not None:
        if isinstance(error, HfHubHTTPError):
            return False
        if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError | ConnectionError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
