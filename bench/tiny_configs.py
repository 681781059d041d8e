"""Small configurations of every causal language model of the installed transformers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from transformers import CONFIG_MAPPING, PretrainedConfig

VOCABULARY = 300
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("vocab_size", "vocab_size_per_layer_input"), VOCABULARY),
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "emb_dim"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "embedding_size"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim"), 64),
    **dict.fromkeys(("n_inner", "d_inner", "ffn_hidden_size", "feed_forward_size"), 64),
    **dict.fromkeys(("num_hidden_layers", "num_layers", "n_layer", "n_layers"), 2),
    **dict.fromkeys(("decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 2),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), 2),
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rotary_dim": 8,
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), 64),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 32),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "v_head_dim"), 16),
    **dict.fromkeys(("n_group", "topk_group"), 1),
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""What configurations call their sizes → a small one."""
_SLIDING = ["sliding_attention", "full_attention"]
_ROPE = {"rope_type": "default", "rope_theta": 1e4}
_MAMBA = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
    "hidden_size": 32,
}
_INDEXED = {"index_topk": 8, "index_head_dim": 16, "index_n_heads": 2}
_DOTS3 = {
    **_INDEXED,
    "num_hidden_layers": 2,
    "per_layer_config": {},
    "mlp_layer_types": ["dense", "sparse"],
    "layer_types": ["indexed_attention", "sliding_attention"],
    "head_dim": 32,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 16,
    "v_head_dim": 16,
    "shared_experts_intermediate_size": 32,
}
_GEMMA4 = {
    "hidden_size_per_layer_input": 8,
    "per_layer_config": {},
    "num_hidden_layers": 2,
    "layer_types": _SLIDING,
}
_QWEN4 = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 16,
    "indexer_budget": 8,
    "indexer_compress_ratio": 2,
    "hc_lowrank": 8,
    "ple_embed_dim": 16,
    "ngram_vocab_size_base": 100,
    "split_ngram_parts": 2,
    "output_gate_type": "sigmoid",
    "num_hidden_layers": 2,
    "layer_types": ["linear_attention", "indexed_attention"],
    "head_dim": 16,
}
_BYTES: dict[str, Any] = {
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "intermediate_size": 64,
    "vocab_size": VOCABULARY,
}
_PARTICULARS: dict[str, dict[str, Any]] = {
    "bamba": {**_MAMBA, "num_hidden_layers": 2, "attn_layer_indices": [1]},
    "blt": {
        "encoder_hash_byte_group_vocab": 100,
        "patcher_config": _BYTES,
        "encoder_config": {**_BYTES, "hidden_size_global": 32},
        "decoder_config": {**_BYTES, "hidden_size_global": 32},
        "global_config": {**_BYTES, "num_hidden_layers": 2},
    },
    "codegen": {"n_head": 4, "num_attention_heads": 4},
    "cohere_compass_text": {
        "num_hidden_layers": 2,
        "layer_types": _SLIDING,
        "rope_parameters": dict.fromkeys(_SLIDING, _ROPE),
    },
    "dbrx": {
        "attn_config": {"rope_theta": 1e4, "kv_n_heads": 1, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "deepseek_v4": {
        "index_topk": 8,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "o_lora_rank": 16,
        "o_groups": 2,
        "num_hidden_layers": 2,
        "mlp_layer_types": ["moe", "moe"],
        "sliding_window": 8,
        "partial_rotary_factor": 0.5,
        "layer_types": ["heavily_compressed_attention", "compressed_sparse_attention"],
    },
    "dots1": {"n_shared_experts": 1, "n_routed_experts": 4, "num_experts_per_tok": 2},
    "dots3_note": {"text_config": _DOTS3},
    "dots3_note_text": _DOTS3,
    "gemma3n_text": {
        "num_hidden_layers": 2,
        "num_kv_shared_layers": 0,
        "layer_types": _SLIDING,
        "intermediate_size": [64, 64],
        "activation_sparsity_pattern": [0.5, 0.0],
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 8,
    },
    "gemma4_text": _GEMMA4,
    "gemma4_unified_text": _GEMMA4,
    "granitemoehybrid": {
        **_MAMBA,
        "num_hidden_layers": 2,
        "layer_types": ["linear_attention", "full_attention"],
    },
    "jamba": {
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
    },
    "kimi_linear": {
        "num_hidden_layers": 2,
        "layer_types": ["linear_attention", "full_attention"],
        "mlp_layer_types": ["dense", "sparse"],
        "num_experts_per_token": 2,
        "linear_head_dim": 16,
        "linear_num_heads": 2,
    },
    "lfm2_moe": {
        "num_hidden_layers": 2,
        "layer_types": ["conv", "full_attention"],
        "num_dense_layers": 1,
    },
    "mamba2": {
        "num_heads": 4,
        "n_groups": 2,
        "chunk_size": 8,
        "state_size": 8,
        "hidden_size": 32,
        "head_dim": 16,
    },
    "mimo_v2_flash": {
        "num_hidden_layers": 2,
        "layer_types": ["full_attention", "sliding_attention"],
        "mlp_layer_types": ["dense", "sparse"],
        "sliding_window": 8,
        "rope_parameters": dict.fromkeys(_SLIDING, _ROPE),
        "num_key_value_heads": 1,
    },
    "qwen4_exp": {"text_config": _QWEN4},
    "qwen4_exp_text": _QWEN4,
    "rwkv": {"attention_hidden_size": 32},
    "xlstm": {"hidden_size": 32, "embedding_dim": 32, "num_hidden_layers": 2, "num_blocks": 2},
    "zamba2": {
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "num_attention_heads": 2,
        "n_mamba_heads": 4,
        "mamba_d_state": 8,
        "chunk_size": 8,
        "adapter_rank": 8,
        "layers_block_type": ["linear_attention", "hybrid"],
    },
}
"""Of those for which the sizes above are not enough: what their configurations are made with."""


def tiny(name: str) -> PretrainedConfig:
    """The default configuration with the sizes above."""
    own = _PARTICULARS.get(name, {})
    config: PretrainedConfig = CONFIG_MAPPING[name](**own)
    text = config.get_text_config()
    own = own.get("text_config", own)
    for key, value in _SIZES.items():
        # some are computed from others, or differ from layer to layer
        with suppress(AttributeError, NotImplementedError):
            if key not in own and hasattr(text, key):
                setattr(text, key, value)
    for key in ("layer_types", "mlp_layer_types"):
        with suppress(AttributeError):
            if getattr(text, key, None):
                setattr(text, key, list(getattr(text, key))[-2:])
    return config
