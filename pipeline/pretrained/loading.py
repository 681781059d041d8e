"""Loads configurations, models and tokenizers of folders and the hub, and runs no code of theirs.

transformers runs a model's own code once somebody says yes to its question, and where a
configuration names a kernel on the hub for attention or experts, it fetches and runs that. Neither
is left to a default here, and no other file chooses a class for a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedTokenizerBase,
)

OWN_KERNELS: dict[str, Any] = {"attn_implementation": None, "experts_implementation": None}
"""Options of a model's loaders, in place of what the configuration and its parts name. None =
PyTorch's fused attention where the architecture has it, else the plain one; experts likewise."""


def load_config(name: str | Path, local_files_only: bool = False) -> PretrainedConfig:
    """The configuration of a folder or a hub name.

    Raises:
        OSError, ValueError: what transformers says of a name that it cannot load.
    """
    config: PretrainedConfig = AutoConfig.from_pretrained(
        name, trust_remote_code=False, local_files_only=local_files_only
    )
    return config


def load_network(name: str | Path, local_files_only: bool = False, **options: Any) -> Any:
    """A language model of a folder or a hub name; `options` are those of `from_pretrained`.

    Raises:
        OSError, ValueError: what transformers says of a name that it cannot load.
    """
    # the configuration first: while it is read, options reach it, but not the parts that it has
    return AutoModelForCausalLM.from_pretrained(
        name,
        config=load_config(name, local_files_only),
        trust_remote_code=False,
        local_files_only=local_files_only,
        **OWN_KERNELS,
        **options,
    )


def new_network(config: PretrainedConfig) -> Any:
    """A language model of the configuration, its weights random."""
    return AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, trust_remote_code=False, **OWN_KERNELS
    )


def load_tokenizer_of(name: str | Path, local_files_only: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or a hub name.

    Raises:
        OSError, ValueError: what transformers says of a name that it cannot load.
    """
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        name, trust_remote_code=False, local_files_only=local_files_only
    )
    return tokenizer


def is_quantised(config: PretrainedConfig) -> bool:
    """Whether the configuration says that weights are rounded."""
    return getattr(config, "quantization_config", None) is not None
