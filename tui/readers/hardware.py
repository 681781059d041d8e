"""The machine's memory and load: every GPU by NVML, the host by psutil."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class GpuSample:
    """One device. Bytes; None where the driver does not tell."""

    index: int
    name: str
    used: int | None
    total: int | None
    busy: int | None
    """Per cent of the last interval in which at least one kernel ran: not how full it was."""


@dataclass(frozen=True)
class HostSample:
    """The host, and the stage at work on it. Bytes; CPU in per cent of one core."""

    used: int
    total: int
    cpu: float
    cores: int
    stage_rss: int | None = None
    stage_cpu: float | None = None


@dataclass(frozen=True)
class MachineSample:
    """One look at the machine."""

    host: HostSample
    gpus: tuple[GpuSample, ...] = ()
    no_gpu: str = ""
    """Why no GPU is shown."""


class MachineReader:
    """Samples the machine; opens NVML once, on the first sample."""

    def __init__(self) -> None:
        self._gpus: _Gpus | None = None
        self._stage: Any = None

    def read(self, pid: int | None = None) -> MachineSample:
        """One sample; `pid` is the process of the stage at work."""
        import psutil  # like NVML, not before the first paint

        self._gpus = self._gpus or _Gpus()
        memory = psutil.virtual_memory()
        rss, cpu = self._read_stage(pid)
        host = HostSample(
            used=memory.total - memory.available,
            total=memory.total,
            cpu=psutil.cpu_percent() * (psutil.cpu_count() or 1),
            cores=len(os.sched_getaffinity(0)),
            stage_rss=rss,
            stage_cpu=cpu,
        )
        return MachineSample(host, self._gpus.read(), self._gpus.trouble)

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


class _Gpus:
    """NVML, or the reason why there is none."""

    def __init__(self) -> None:
        import pynvml  # 50 ms that the first paint need not wait for

        self._nvml: Any = pynvml
        self._handles: list[Any] = []
        self.trouble = ""
        if not hasattr(pynvml, "nvmlInit"):
            self.trouble = "no GPU: the package pynvml hides NVIDIA's own; uninstall it"
            return
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]
            self.trouble = "" if count else "no GPU in this machine"
        except pynvml.NVMLError as error:
            self.trouble = f"no GPU in reach ({str(error).lower()})"

    def read(self) -> tuple[GpuSample, ...]:
        return tuple(self._sample(index, handle) for index, handle in enumerate(self._handles))

    def _sample(self, index: int, handle: Any) -> GpuSample:
        nvml = self._nvml
        name = self._ask(nvml.nvmlDeviceGetName, handle)
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        return GpuSample(
            index=index,
            name=name.decode() if isinstance(name, bytes) else str(name or "GPU"),
            used=memory.used if memory else None,
            total=memory.total if memory else None,
            busy=rates.gpu if rates else None,
        )

    def _ask(self, question: Any, handle: Any) -> Any:
        """Any single figure may be missing, as under MIG or on unified memory."""
        try:
            return question(handle)
        except self._nvml.NVMLError:
            return None
