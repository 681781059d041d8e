"""A stage is one process, whatever the shell that it is started from was launched by."""

from __future__ import annotations

from pipeline.contract.run.launchers import drop_launchers


def test_what_tells_a_process_that_it_is_one_of_many_is_dropped_and_named() -> None:
    environment = {
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "FSDP_VERSION": "2",
        "TORCHELASTIC_RUN_ID": "none",
        "OMPI_COMM_WORLD_SIZE": "2",
        "PATH": "/bin",
        "OMP_NUM_THREADS": "2",
        "CUDA_VISIBLE_DEVICES": "1",
        "HF_HOME": "/cache",
        "SLURM_PROCID": "3",
    }
    dropped = drop_launchers(environment)
    assert dropped == sorted(dropped)
    assert len(dropped) == 6
    assert set(environment) == {
        "PATH",
        "OMP_NUM_THREADS",
        "CUDA_VISIBLE_DEVICES",
        "HF_HOME",
        "SLURM_PROCID",
    }
