"""Training whose processes share the weights, gradients and optimiser's state: PyTorch's FSDP2.

The Trainer's own, by accelerate. That ignores it on CPUs without a word, though PyTorch shards
there, too: `shard_on_cpu` tells it.
"""

from __future__ import annotations

from typing import Any

from accelerate import Accelerator, PartialState  # type: ignore[import-untyped]
from accelerate.utils import (  # type: ignore[import-untyped]
    DistributedType,
    FullyShardedDataParallelPlugin,
)

from pipeline.contract.settings.schema import TrainSettings


def sharding_arguments(train: TrainSettings) -> dict[str, Any]:
    """Arguments of a Trainer for train.shard; whole decoder layers are gathered and let go."""
    if not train.shard:
        return {"activation_checkpointing": train.gradient_checkpointing}
    # FSDP's own: the model's would gather every layer's weights once more
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "state_dict_type": "FULL_STATE_DICT",  # checkpoints hold a whole model
            "activation_checkpointing": train.gradient_checkpointing,
        },
    }


def shard_on_cpu(accelerator: Accelerator, arguments: dict[str, Any]) -> None:
    """Has accelerate shard a model on CPUs as it does on GPUs; see `AcceleratorState.__init__`.

    `arguments`: the plugin's, as the Trainer makes them.
    """
    plugin = FullyShardedDataParallelPlugin(**arguments)
    if accelerator.mixed_precision != "no":
        plugin.set_mixed_precision(accelerator.mixed_precision)
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = plugin
    # from which a state that is asked for anew takes it
    PartialState().distributed_type = DistributedType.FSDP
