"""Free memory, and an estimate of what a batch takes."""

from __future__ import annotations

import psutil
import torch
from transformers import PretrainedConfig, PreTrainedModel

from pipeline.contract.container import memory_limit

_LOGITS = 4
"""Values per token and vocabulary entry: logits, softmax, cumulative sums, a gradient."""
_STATES = 20
"""Values per token and layer, forward and backward, in units of the hidden width; an MLP's is 4."""
_ATTENTIONS = 3
"""Values per token, head and key beside the softmax, of one layer at a time: attention scores and
both gradients. The softmax of every layer is kept for the backward pass."""
_FLOAT_BYTES = 4


def free_bytes(device: torch.device) -> int:
    """Bytes free on the device; on the CPU at most what a container leaves this process."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    # inside a container the machine's free memory is not all for this process
    free, limit = int(psutil.virtual_memory().available), memory_limit()
    return min(free, limit.left) if limit else free


def bytes_per_token(model: PreTrainedModel, longest: int) -> int:
    """Rough upper bound of the bytes that a token takes in a forward and a backward pass.

    `longest`: tokens of the longest example, on which the size of attention depends.
    """
    config = model.config.get_text_config()
    states: int = _STATES * config.hidden_size * config.num_hidden_layers
    heads = _attention_heads(config)
    attentions = longest * (sum(heads) + _ATTENTIONS * max(heads, default=0))
    vocabulary: int = config.vocab_size
    return _FLOAT_BYTES * (_LOGITS * vocabulary + states + attentions)


def _attention_heads(config: PretrainedConfig) -> list[int]:
    """Those of each layer; none of a model without attention."""
    if getattr(config, "is_heterogeneous", False):  # older transformers has none
        return [int(layer.num_attention_heads) for layer in config.per_layer_config]
    heads: int = getattr(config, "num_attention_heads", 0)
    return [heads] * config.num_hidden_layers
