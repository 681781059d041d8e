"""A run's network without weights, on torch's meta device: its shapes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from transformers import LlamaConfig, PretrainedConfig, PreTrainedModel

from pipeline.contract.settings.schema import Settings
from pipeline.influence.experts import join_experts, separate_experts
from pipeline.influence.memory_estimate import bytes_per_token
from pipeline.influence.modules import resolve_modules, weight_shape
from pipeline.model import PRESETS, pretrained_config
from pipeline.pretrained.adapters import is_adapted
from pipeline.pretrained.loading import new_network
from pipeline.pretrained.sources import analysed
from pipeline.training.adapting import planned


@dataclass(frozen=True)
class Network:
    """The network that influence looks at."""

    model: PreTrainedModel
    """On the meta device; with an adapter, where the run has one."""
    shapes: Sequence[tuple[int, int]]
    """[O, I] of the traced modules."""
    rank: int
    """Of the adapter that is trained in place of all weights; 0 = there is none."""

    @cached_property
    def parameters(self) -> int:
        """Numbers of weights, an adapter's counted."""
        return sum(weight.numel() for weight in self.model.parameters())

    @cached_property
    def trained(self) -> int:
        """Numbers of weights that training changes."""
        if not self.rank:
            return self.parameters
        if not is_adapted(self.model):  # its matrices are looked at as part of the whole weights
            return self.rank * sum(outputs + inputs for outputs, inputs in self.shapes)
        return sum(
            weight.numel() for name, weight in self.model.named_parameters() if "lora_" in name
        )

    @cached_property
    def multiplied(self) -> int:
        """Numbers of weights that a token is multiplied with: all but a table that is looked up."""
        table = self.model.get_input_embeddings().get_parameter("weight")
        head = self.model.get_output_embeddings()  # type: ignore[no-untyped-call]
        tied = head is not None and head.weight is table
        return self.parameters - (0 if tied else self.vocabulary)

    @cached_property
    def vocabulary(self) -> int:
        """Numbers of the weights of the table by which tokens are looked up."""
        return self.model.get_input_embeddings().get_parameter("weight").numel()

    def token_bytes(self, longest: int) -> int:
        """Bytes of a token of a batch, see `bytes_per_token`."""
        return bytes_per_token(self.model, longest)


def network_of(settings: Settings, vocabulary: int = 1) -> Network:
    """The network that the settings choose; `vocabulary`: of one that is made from scratch.

    Raises:
        ModelError: there is no such model, or it lacks the modules that the settings choose.
        HubUnreachableError: it is on the hub, and the hub does not answer.
        SettingsError: modules.layers is not a list of layers.
    """
    if settings.model.init == "pretrained":
        config = pretrained_config(*analysed(settings))
    else:
        config = _preset(settings.model.preset, vocabulary)
    with torch.device("meta"):
        model = planned(settings)(new_network(config))
        separate_experts(model)
    shapes = [
        weight_shape(model.get_submodule(name)) for name in resolve_modules(model, settings.modules)
    ]
    join_experts(model)
    return Network(model, shapes, settings.lora.rank)


def _preset(name: str, vocabulary: int) -> PretrainedConfig:
    shape = PRESETS[name]
    return LlamaConfig(
        vocab_size=vocabulary,
        bos_token_id=None,
        eos_token_id=None,
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        tie_word_embeddings=shape.tied,
    )
