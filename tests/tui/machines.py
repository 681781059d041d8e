"""Machines that the tests cannot have."""

from __future__ import annotations

from pipeline.contract.gpus import GpuSample
from tui.readers.hardware import HostSample, MachineReader, MachineSample

GIB = 1 << 30


class TwoGpus(MachineReader):
    """The machine as it would be with two devices, one of them cut into MIG instances."""

    def read(self, pid: int | None = None) -> MachineSample:
        host = HostSample(used=8 * GIB, total=64 * GIB, cpu=150.0, cores=16, stage_rss=3 * GIB)
        whole = GpuSample(
            "0", "NVIDIA H100", "GPU-a", 60 * GIB, GIB, 80 * GIB, 97, 64, 412.0, 700.0, visible=True
        )
        part = GpuSample(
            "1:0", "H100 MIG 1g.10gb", "MIG-b", 2 * GIB, 0, 10 * GIB, mig=True, visible=False
        )
        history = {
            "GPU-a busy": tuple(n / 100 for n in range(100)),
            "GPU-a power": tuple(0.3 + n / 300 for n in range(100)),
            "cpu": tuple(abs(50 - n) / 50 for n in range(100)),
            "memory": (0.1, 0.2, 0.4),
        }
        return MachineSample(host, (whole, part), history=history)
