"""Processes of this machine: Headwater's own, by run and stage, and others' on the GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contract.children import work_of

if TYPE_CHECKING:
    import psutil

    from pipeline.contract.gpus import GpuSample

NOT_SEEN = "owner not visible here"
"""Of a process that the driver names and this machine, or container, does not show."""


@dataclass(frozen=True)
class ProcessSample:
    """One process. Bytes; CPU in per cent of one core since the last look."""

    pid: int
    name: str
    """`demo · train` of ours; user and program of another, or why they are not known."""
    is_ours: bool = False
    gpus: tuple[str, ...] = ()
    """Indices of the devices that it has memory on."""
    gpu_memory: int | None = None
    """On all of them; None where it has none, or where the driver does not tell."""
    rss: int | None = None
    cpu: float | None = None


def read_processes(gpus: Sequence[GpuSample]) -> tuple[ProcessSample, ...]:
    """Ours first, then those with the most memory on GPUs.

    psutil keeps what it knows of a process from one call to the next, and with it the time from
    which on its CPU is counted.
    """
    import psutil

    on_gpus = _on_gpus(gpus)
    samples: dict[int, ProcessSample] = {}
    for process in psutil.process_iter():
        try:
            if work := work_of(process.cmdline()):
                name = f"{Path(work[0]).name} · {work[1]}"
            elif process.pid in on_gpus:
                name = _owner(process)
            else:
                continue
            told = on_gpus.get(process.pid, ((), None))
            memory, cpu = process.memory_info().rss, process.cpu_percent()
        except psutil.Error:  # it has ended, or is another user's
            continue
        samples[process.pid] = ProcessSample(
            process.pid, name, work is not None, *told, memory, cpu
        )
    samples |= {
        pid: ProcessSample(pid, NOT_SEEN, False, *told)
        for pid, told in on_gpus.items()
        if pid not in samples
    }
    return tuple(
        sorted(samples.values(), key=lambda one: (not one.is_ours, -(one.gpu_memory or 0), one.pid))
    )


def _on_gpus(gpus: Sequence[GpuSample]) -> dict[int, tuple[tuple[str, ...], int | None]]:
    """Devices, and memory on them, by process."""
    found: dict[int, tuple[tuple[str, ...], int | None]] = {}
    for gpu in gpus:
        for process in gpu.processes or ():
            devices, known = found.get(process.pid, ((), None))
            used = known if process.used is None else process.used + (known or 0)
            found[process.pid] = ((*devices, gpu.index), used)
    return found


def _owner(process: psutil.Process) -> str:
    """`alice · python3`."""
    return f"{process.username()} · {process.name()}"
