"""Variables by which launchers of many processes tell each of them who it is.

A stage is one process. Where it is started from within torchrun, accelerate, DeepSpeed or MPI, or
from a shell that one of these left its variables in, the libraries would take it for one of many:
training would wait for the others for ever, or take on the launcher's precision and sharding.
"""

from __future__ import annotations

from collections.abc import MutableMapping

_NAMES = frozenset(
    """
    WORLD_SIZE RANK LOCAL_RANK LOCAL_WORLD_SIZE NODE_RANK GROUP_RANK GROUP_WORLD_SIZE ROLE_RANK
    ROLE_NAME ROLE_WORLD_SIZE CROSS_RANK CROSS_SIZE LOCAL_SIZE MASTER_ADDR MASTER_PORT PMI_RANK
    PMI_SIZE PMI_LOCAL_RANK MPI_LOCALRANKID MPI_LOCALNRANKS CCL_WORKER_COUNT
    """.split()  # noqa: SIM905
)
_PREFIXES = (
    "ACCELERATE_",
    "FSDP_",
    "DEEPSPEED_",
    "MEGATRON_LM_",
    "PARALLELISM_CONFIG_",
    "TORCHELASTIC_",
    "OMPI_COMM_WORLD_",
    "MV2_COMM_WORLD_",
    "SM_FRAMEWORK_",
)


def drop_launchers(environment: MutableMapping[str, str]) -> list[str]:
    """Removes the launchers' variables from an environment, and gives their names."""
    found = sorted(name for name in environment if name in _NAMES or name.startswith(_PREFIXES))
    for name in found:
        del environment[name]
    return found
