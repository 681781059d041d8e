"""Tiny random models of many architectures, and their per-example gradients by autograd alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from pipeline.corpus.examples import IGNORED, TokenDataset, TokenRow
from pipeline.influence.analyzer import InfluenceAnalyzer

from .conftest import FLOAT64_FACTORS, FLOAT64_SCORES, VOCABULARY, analyzer_of, random_tokens

_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 12}
_LATENT = {
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 4,
    "qk_rope_head_dim": 4,
    "v_head_dim": 4,
    "num_key_value_heads": 2,
}
_DEEPSEEK = _LATENT | _EXPERTS | {"n_routed_experts": 4, "n_shared_experts": 1}

DENSE: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama with biases": {"attention_bias": True, "mlp_bias": True},
    "llama tied": {"tie_word_embeddings": True},
    "mistral": {"head_dim": 8},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "query_pre_attn_scalar": 8},
    "gemma2 sharply capped": {
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "final_logit_softcapping": 2.0,
        "attn_logit_softcapping": 1.0,
    },
    "gemma3_text": {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 4},
    "phi": {"num_key_value_heads": 2},
    "phi3": {},
    "gpt2": {"n_inner": 24},
    "gpt_neo": {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]},
    "gpt_neox": {},
    "gptj": {"rotary_dim": 4, "n_inner": 24},
    "codegen": {"rotary_dim": 4, "n_inner": 24, "num_attention_heads": 4},
    "opt": {"ffn_dim": 24, "word_embed_proj_dim": 16},
    "bloom": {},
    "falcon": {"new_decoder_architecture": False},
    "mpt": {"d_model": 16, "n_heads": 2, "n_layers": 2, "expansion_ratio": 2},
    "stablelm": {},
    "starcoder2": {},
    "olmo2": {},
    "granite": {"logits_scaling": 3.0, "embedding_multiplier": 2.0},
    "smollm3": {},
    "cohere": {"logit_scale": 0.5},
    "glm4": {"head_dim": 8},
}
"""Name, whose first word is the library's, → what its configuration has beside `_COMMON`."""

EXPERTS: dict[str, dict[str, Any]] = {
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "mixtral of many experts": {"num_local_experts": 16, "num_experts_per_tok": 1},
    "qwen2_moe": _EXPERTS | {"num_experts": 4, "shared_expert_intermediate_size": 12},
    "qwen3_moe": _EXPERTS | {"num_experts": 4, "head_dim": 8},
    "deepseek_v2": _DEEPSEEK | {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    "deepseek_v3": _DEEPSEEK | {"n_group": 1, "topk_group": 1, "first_k_dense_replace": 1},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
}
"""Those whose MLPs are mixtures of experts."""


@cache
def rows_of(kind: str) -> TokenDataset:
    """4 training examples of 3 to 12 tokens, or 2 prompts of which the last two tokens count."""
    if kind == "examples":
        return TokenDataset(random_tokens(4, seed=1))
    tokens = random_tokens(2, seed=2)
    labels = [row.copy() for row in tokens]
    for row in labels:
        row[:-2] = IGNORED
    return TokenDataset(tokens, labels)


def exact_analyzer(name: str, folder: Path, **sections: dict[str, object]) -> InfluenceAnalyzer:
    """An analyzer of the tiny model in float64 that tracks all modules, in batches of two."""
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, dict[str, object]] = {
        "modules": {"group": "all"},
        "factors": FLOAT64_FACTORS | {"fisher": "empirical", "batch_size": 2},
        "scores": FLOAT64_SCORES | {"batch_size": 2, "query_batch_size": 2, "damping": 1e-3},
    }
    return analyzer_of(model_of(name), folder, values | sections)


def config_of(name: str) -> PretrainedConfig:
    """The configuration of a tiny model: 2 layers, 16 wide."""
    family, changes = name.split()[0], (DENSE | EXPERTS)[name]
    config: PretrainedConfig = AutoConfig.for_model(family, **_COMMON | changes)
    return config


def model_of(name: str) -> PreTrainedModel:
    """A tiny model in float64 with weights so large that its predictions are not uniform."""
    torch.manual_seed(0)
    # the fused products of experts take no float64
    eager = {"experts_implementation": "eager"} if name in EXPERTS else {}
    made = AutoModelForCausalLM.from_config(config_of(name), **eager)  # type: ignore[no-untyped-call]
    return randomized(made)


def randomized(model: PreTrainedModel) -> PreTrainedModel:
    """The model in float64 with the same random weights and biases every time."""
    generator = torch.Generator().manual_seed(0)
    model = model.double()
    model.train(False)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 or name.endswith("bias"):
            nn.init.normal_(parameter.data, std=0.3, generator=generator)
    return model


def exact_loss(model: nn.Module, row: TokenRow) -> Tensor:
    """Of one example, alone and without padding: summed over its labels, by its definition."""
    ids = row["input_ids"][None]
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return functional.cross_entropy(logits[0, :-1], row["labels"][1:], reduction="sum")


def gradients(
    model: nn.Module, weights: Sequence[Tensor], rows: Sequence[TokenRow]
) -> list[Tensor]:
    """Each tensor's gradient of every row's loss [rows, …]; zeros where none arrives."""
    for weight in weights:
        weight.requires_grad_(True)
    found = [
        torch.autograd.grad(exact_loss(model, row), weights, allow_unused=True) for row in rows
    ]
    return [
        torch.stack([torch.zeros_like(w) if g is None else g for g in of_weight])
        for w, of_weight in zip(weights, zip(*found, strict=True), strict=True)
    ]
