"""Models small enough to make, save and train in a test, as others' folders hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from pipeline.corpus.tokenizers import train_tokenizer
from tests.small_runs import sentences

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
    "initializer_range": 0.05,
}


def small_tokenizer() -> PreTrainedTokenizerBase:
    """Trained on the sentences of the small runs; 300 pieces."""
    return train_tokenizer(sentences(56), vocab_size=300)


def small_llama(seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Two layers, 32 wide, of 300 pieces."""
    torch.manual_seed(seed)
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    model = LlamaForCausalLM(LlamaConfig(**{**SHAPE, "vocab_size": 300, **ends, **changes}))
    model.train(False)
    return model


def small_qwen3(seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Likewise, with normalised queries and keys and a tied vocabulary."""
    torch.manual_seed(seed)
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    shape = {**SHAPE, "vocab_size": 300, "head_dim": 16, "tie_word_embeddings": True}
    model = Qwen3ForCausalLM(Qwen3Config(**{**shape, **ends, **changes}))
    model.train(False)
    return model


def save_folder(model: PreTrainedModel, folder: Path) -> Path:
    """The model and a tokenizer in a folder, as `save_pretrained` leaves them."""
    model.save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    return folder
