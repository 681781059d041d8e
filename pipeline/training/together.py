"""Training by several processes: the stage is rank 0, and starts the others beside itself.

Each takes its share of the examples of every batch, so that a step sees the examples that one
process would see. They speak torchrun's protocol, by which transformers' Trainer joins them (data
parallel, over gloo). They are started without torchrun, which puts its processes into sessions of
their own: in the stage's process group, a stop reaches all of them.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import distributed

from pipeline.batches import token_budget_batches
from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import ModelError, RetryableError, SettingsError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.model import select_device
from pipeline.training.trainer import TokenTrainer

_PATIENCE_S = 10.0
"""How long a process is waited for that has ended its training or was asked to end."""


def require_shareable(settings: Settings, lengths: Sequence[int]) -> None:
    """Checks, before any work, that the settings' processes can share every batch.

    `lengths`: tokens of each training example.

    Raises:
        SettingsError: they cannot.
    """
    count = settings.train.processes
    if count == 1:
        return
    if select_device(settings).type != "cpu":
        raise SettingsError(
            f"train.processes = {count} trains on CPUs alone, and this run computes on a GPU",
            'set train.processes = 1, or run.device = "cpu"',
        )
    # batches are of neighbours in length: no seed and no epoch changes their sizes
    smallest = min(map(len, token_budget_batches(lengths, settings.train.batch_tokens)))
    if smallest < count:
        raise SettingsError(
            f"train.processes = {count}, but the smallest batch has {smallest} example(s): a "
            "process would have none of it",
            f"set train.processes to at most {smallest}, or change train.batch_tokens",
        )


def require_summable(trainer: TokenTrainer) -> None:
    """Checks that the shares' losses add up to the loss of the whole batch.

    Raises:
        ModelError: they do not.
    """
    config = trainer.network.config
    if not trainer.model_accepts_loss_kwargs or getattr(config, "output_router_logits", False):
        raise ModelError(
            "this architecture's loss is not a sum over tokens, so several processes would train "
            "another model than one",
            "set train.processes = 1",
        )


@contextmanager
def together(settings: Settings, run: RunDir) -> Iterator[None]:
    """Context in which the other processes of a training are at work; they print into its log.

    Raises:
        RetryableError: one of them ended before the training did.
    """
    count = settings.train.processes
    if count == 1:
        yield
        return
    threads = torch.get_num_threads()
    share = settings.run.threads or max(1, threads // count)
    ranks = [_variables(rank, count, port) for port in [_free_port()] for rank in range(count)]
    others: list[subprocess.Popen[bytes]] = []
    torch.set_num_threads(share)
    os.environ.update(ranks[0])
    try:
        for variables in ranks[1:]:
            environment = child_environment(OMP_NUM_THREADS=str(share), **variables)
            command = python_command("-m", "pipeline.training.rank", str(run.root))
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
            others.append(process)
        yield
    except RuntimeError as error:
        if _ended(others):  # the collective operation that it left told of it
            raise RetryableError(
                "a process of the training ended before its time",
                f"its own words are in {run.log('train')}; running train again goes on from the "
                "last checkpoint",
            ) from error
        raise
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        _end(others)
        for name in ranks[0]:
            os.environ.pop(name, None)
        torch.set_num_threads(threads)


def _variables(rank: int, count: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ended(processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    """Whether one of them has ended, or is just ending, with a fault."""
    for process in processes:
        try:
            if process.wait(1.0):
                return True
        except subprocess.TimeoutExpired:
            continue
    return False


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
