"""Workers that a stage starts beside itself, on its own machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.contract.children import child_environment, worker_command
from pipeline.contract.run.run_dir import RunDir
from pipeline.libraries import thread_variables

_GPUS = "CUDA_VISIBLE_DEVICES"
_PATIENCE_S = 10.0
"""How long a worker that was asked to end is waited for."""


@contextmanager
def local_workers(stage: str, run: RunDir, count: int) -> Iterator[None]:
    """Context in which `count` further processes help the stage, with as many threads as this one;
    they print into its log."""
    threads = thread_variables(torch.get_num_threads())
    gpus = visible_gpus(os.environ.get(_GPUS), torch.cuda.device_count())
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(1, count + 1):
            own = {_GPUS: gpus[number % len(gpus)]} if gpus else {}
            started.append(
                subprocess.Popen(
                    worker_command(stage, str(run.root)),
                    stdin=subprocess.DEVNULL,
                    env=child_environment(**threads, **own),
                )
            )
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def visible_gpus(named: str | None, count: int) -> list[str]:
    """Names of the GPUs in reach, one for each worker in turn, the stage's own first.

    `named`: CUDA_VISIBLE_DEVICES, or None; `count`: how many the stage finds.
    """
    names = named.split(",") if named else [str(number) for number in range(count)]
    return names[:count]
