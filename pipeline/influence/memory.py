"""What there is of memory, and what a pass takes of it."""

from __future__ import annotations

import psutil
import torch
from transformers import PreTrainedModel

from pipeline.contract.container import memory_limit

_LOGITS = 5
"""Logits, their softmax, cumulative sums for sampled labels, and both gradients."""
_STATES = 24
"""Hidden states of a layer, forward and backward, in units of its width, the MLP's counted 4."""
_ATTENTIONS = 4
"""Attention's weights by plain matrix products, with and without softmax, and their gradients."""
_FLOAT_BYTES = 4


def free_bytes(device: torch.device) -> int:
    """Memory of the device that nobody uses, and that this process may take."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free, limit = int(psutil.virtual_memory().available), memory_limit()
    return min(free, limit.left) if limit else free


def bytes_per_token(model: PreTrainedModel, longest: int) -> int:
    """Rough bound of what one token of a batch takes in a forward and a backward pass."""
    config = model.config.get_text_config()
    layer: int = _STATES * config.hidden_size + _ATTENTIONS * config.num_attention_heads * longest
    layers: int = config.num_hidden_layers * layer
    vocabulary: int = config.vocab_size
    return _FLOAT_BYTES * (_LOGITS * vocabulary + layers)
