"""The machine's memory and load, and how they were in the last minutes."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.contract.gpus import GpuReader, GpuSample
    from tui.readers.processes import ProcessSample

_KEPT = 600
"""Samples of each reading that are kept for the charts: twenty minutes at one in two seconds."""


@dataclass(frozen=True)
class HostSample:
    """The host, as far as a container's limit lets it be used, and the stage at work on it. Bytes;
    CPU in per cent of one core."""

    used: int
    total: int
    cpu: float
    cores: int
    stage_rss: int | None = None
    stage_cpu: float | None = None
    disk_used: int | None = None
    """Of the disk that holds the runs; None where it cannot be asked."""
    disk_total: int | None = None
    load: tuple[float, float, float] | None = None
    """Processes that run or wait for a core or a disk, over 1, 5 and 15 minutes."""


@dataclass(frozen=True)
class MachineSample:
    """One look at the machine."""

    host: HostSample
    gpus: tuple[GpuSample, ...] = ()
    no_gpu: str = ""
    """Why no GPU is shown."""
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The last readings, oldest first: "cpu", "memory", and "<uuid> busy", "<uuid> memory",
    "<uuid> power" and "<uuid> heat" of every GPU that tells them. All are shares between 0 and
    1, heat of 100 °C."""


class MachineReader:
    """Samples the machine; opens NVML once, on the first sample."""

    def __init__(self, gpus: GpuReader | None = None, folder: Path | None = None) -> None:
        """`folder` is on the disk that is told of."""
        self._gpus, self._folder = gpus, folder
        self._stage: Any = None
        self._history: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_KEPT))

    def read(self, pid: int | None = None) -> MachineSample:
        """One sample; `pid` is the process of the stage at work."""
        reader = self._gpu_reader()
        host, gpus = self._read_host(pid), reader.read()
        for name, share in _shares(host, gpus).items():
            self._history[name].append(share)
        history = {name: tuple(kept) for name, kept in self._history.items()}
        return MachineSample(host, gpus, reader.trouble, history)

    def processes(self, machine: MachineSample) -> tuple[ProcessSample, ...]:
        """Headwater's own processes, and whatever others are on the GPUs of a sample."""
        from tui.readers.processes import read_processes

        return read_processes(machine.gpus)

    def _gpu_reader(self) -> GpuReader:
        if self._gpus is None:
            from pipeline.contract.gpus import GpuReader  # not before the first paint

            self._gpus = GpuReader(environment=os.environ)
        return self._gpus

    def _read_host(self, pid: int | None) -> HostSample:
        import psutil  # like NVML, not before the first paint

        from pipeline.contract.container import memory_limit, usable_cpus

        memory = psutil.virtual_memory()
        # some containers show the host's free memory beside their own total
        used, total = max(0, memory.total - memory.available), memory.total
        limit = memory_limit()
        if limit and limit.limit < total:
            used, total = limit.used, limit.limit
        rss, cpu = self._read_stage(pid)
        disk = self._read_disk()
        return HostSample(
            used=used,
            total=total,
            cpu=psutil.cpu_percent() * (psutil.cpu_count() or 1),
            cores=usable_cpus(),
            stage_rss=rss,
            stage_cpu=cpu,
            disk_used=disk[0],
            disk_total=disk[1],
            load=os.getloadavg() if hasattr(os, "getloadavg") else None,
        )

    def _read_disk(self) -> tuple[int | None, int | None]:
        """Bytes that are used, and all."""
        if self._folder is None:
            return None, None
        try:
            disk = shutil.disk_usage(self._folder)
        except OSError:  # the folder may not be there yet
            return None, None
        return disk.total - disk.free, disk.total

    def _read_stage(self, pid: int | None) -> tuple[int | None, float | None]:
        """Memory and CPU since the last look; the process may end between two lines."""
        import psutil

        if pid is None:
            self._stage = None
            return None, None
        try:
            if self._stage is None or self._stage.pid != pid:
                self._stage = psutil.Process(pid)
            return self._stage.memory_info().rss, self._stage.cpu_percent()
        except psutil.Error:
            self._stage = None
            return None, None


def _shares(host: HostSample, gpus: tuple[GpuSample, ...]) -> dict[str, float]:
    shares = {"cpu": host.cpu / (100 * host.cores), "memory": host.used / host.total}
    for gpu in gpus:
        if gpu.busy is not None:
            shares[f"{gpu.uuid} busy"] = gpu.busy / 100
        if gpu.used is not None and gpu.total:
            shares[f"{gpu.uuid} memory"] = gpu.used / gpu.total
        if gpu.power is not None and gpu.power_limit:
            shares[f"{gpu.uuid} power"] = gpu.power / gpu.power_limit
        if gpu.temperature is not None:
            shares[f"{gpu.uuid} heat"] = gpu.temperature / 100
    return shares
