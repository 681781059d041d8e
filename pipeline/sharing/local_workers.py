"""Workers that a stage starts beside itself, on its own machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.contract.children import child_environment, worker_command
from pipeline.contract.errors import SettingsError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
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


def workers_of(settings: Settings, gpus: int) -> int:
    """How many processes of this machine share a stage, its own one included.

    `gpus`: how many of them the run may compute on.

    Raises:
        SettingsError: one on every GPU is asked for, and there is none.
    """
    chosen = settings.run.workers
    if chosen != "gpus":
        return chosen
    if not gpus:
        raise SettingsError(
            'run.workers = "gpus", but no GPU is in reach',
            "`headwater doctor` says why; or set run.workers to a number of processes",
        )
    return gpus


def workers_here(settings: Settings, device: str) -> int:
    """The same on this machine, of which `device` is what the stage computes on; raises as
    `workers_of` does."""
    is_gpu = torch.device(device).type == "cuda"
    return workers_of(settings, torch.cuda.device_count() if is_gpu else 0)


def visible_gpus(named: str | None, count: int) -> list[str]:
    """Names of the GPUs in reach, one for each worker in turn, the stage's own first.

    `named`: CUDA_VISIBLE_DEVICES, or None; `count`: how many the stage finds.
    """
    names = named.split(",") if named else [str(number) for number in range(count)]
    return names[:count]
