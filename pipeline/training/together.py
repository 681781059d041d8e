"""Training by several processes: the stage is rank 0, and starts the others beside itself.

Each takes its share of the examples of every batch, so that a step sees the examples that one
process would see. They have torchrun's variables, by which transformers' Trainer shares gradients
(data parallel, by gloo or NCCL), and meet by a file: no port that another program could take. They
are started without torchrun, which puts its processes into sessions of their own: in the stage's
process group, a kill reaches all of them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import distributed
from torch.distributed import FileStore  # type: ignore[attr-defined]

from pipeline.batches import token_budget_batches
from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import ModelError, SettingsError
from pipeline.contract.run.launchers import drop_launchers
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.training.devices import Team, team_of
from pipeline.training.faults import what_ended
from pipeline.training.trainer import TokenTrainer

_PATIENCE_S = 10.0
"""How long a process is waited for that has ended its training."""
_ENDING_S = 5.0
"""How long a process may take to end after its connection has."""
_INTERVAL_S = 0.1
"""Between looks at processes that are loading the model."""


def require_shareable(settings: Settings, lengths: Sequence[int]) -> None:
    """Checks, before any work, that the processes have devices, and can share every batch.

    `lengths`: tokens of each training example.

    Raises:
        SettingsError: there are not, or they cannot; UsageError: see `select_device`.
    """
    count = team_of(settings).count
    # batches are of neighbours in length: no seed and no epoch changes their sizes
    smallest = min(map(len, token_budget_batches(lengths, settings.train.batch_tokens)))
    if smallest < count:
        raise SettingsError(
            f"{count} processes train together, but the smallest batch has {smallest} example(s): "
            "a process would have none of it",
            f"set train.processes to at most {smallest}, or change train.batch_tokens; "
            "CUDA_VISIBLE_DEVICES chooses fewer GPUs",
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
        HeadwaterError: one of them ended before the training did; of the kind of what ended it.
    """
    chosen = team_of(settings)
    count = chosen.count
    if count == 1:
        yield
        return
    threads = torch.get_num_threads()
    share = settings.run.threads or max(1, threads // count)
    torch.set_num_threads(share)
    os.environ.update(_variables(0, count))
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        others: list[subprocess.Popen[bytes]] = []
        patience = 0.0
        try:
            for rank in range(1, count):
                others.append(_started(rank, count, share, run, meeting))
            _meet(others, run, meeting, chosen)
            yield
            patience = _PATIENCE_S
        except RuntimeError as error:
            if _has_lost_one(others):  # the collective operation that it left told of it
                raise what_ended(others, meeting, run) from error
            raise
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()
            _end(others, patience)
            drop_launchers(os.environ)  # accelerate adds some of its own
            torch.set_num_threads(threads)


def join(settings: Settings, meeting: Path) -> None:
    """Joins the training whose stage has started this process, and waits for all others."""
    chosen, rank = team_of(settings), int(os.environ["RANK"])
    store = FileStore(str(meeting), chosen.count)
    store.set(_ready(rank), "")
    _gather(chosen, rank, store)


def _gather(chosen: Team, rank: int, store: FileStore) -> None:
    device = chosen.device(rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(chosen.backend, store=store, rank=rank, world_size=chosen.count)


def _meet(
    others: Sequence[subprocess.Popen[bytes]], run: RunDir, meeting: Path, chosen: Team
) -> None:
    """Joins the others when all are ready: alone the backend would wait half an hour for a dead
    one."""
    store = FileStore(str(meeting), chosen.count)
    while not store.check([_ready(rank) for rank in range(1, chosen.count)]):
        if any(process.poll() is not None for process in others):
            raise what_ended(others, meeting, run)
        time.sleep(_INTERVAL_S)
    _gather(chosen, 0, store)


def _started(
    rank: int, count: int, threads: int, run: RunDir, meeting: Path
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        python_command(
            "-m", "pipeline.training.rank", str(run.root), str(meeting), str(os.getpid())
        ),
        stdin=subprocess.DEVNULL,
        env=child_environment(OMP_NUM_THREADS=str(threads), **_variables(rank, count)),
    )


def _variables(rank: int, count: int) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_PORT": "0",  # nobody listens; accelerate would name one where none is
    }


def _ready(rank: int) -> str:
    return f"{rank} is ready"


def _has_lost_one(processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    """Whether one of them has ended, or is just ending, with a fault."""
    until = time.monotonic() + _ENDING_S
    while not any(process.poll() for process in processes):
        if time.monotonic() > until:
            return False
        time.sleep(_INTERVAL_S)
    return True


def _end(processes: Sequence[subprocess.Popen[bytes]], patience_s: float) -> None:
    """Waits for processes that are ending by themselves, and kills those that are not."""
    until = time.monotonic() + patience_s
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
