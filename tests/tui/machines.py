"""Machines that the tests cannot have."""

from __future__ import annotations

from pipeline.contract.gpus import GpuSample
from tui.readers.hardware import HostSample, MachineReader, MachineSample
from tui.readers.processes import NOT_SEEN, ProcessSample

GIB = 1 << 30
HOST = HostSample(
    used=8 * GIB, total=64 * GIB, cpu=150.0, cores=16, stage_rss=3 * GIB,
    disk_used=300 * GIB, disk_total=400 * GIB, load=(1.5, 0.75, 0.25),
)  # fmt: skip


class TwoGpus(MachineReader):
    """The machine as it would be with two devices, one of them cut into MIG instances."""

    def read(self, pid: int | None = None) -> MachineSample:
        whole = GpuSample(
            "0", "NVIDIA H100", "GPU-a", 60 * GIB, GIB, 80 * GIB, 97, 64, 412.0, 700.0,
            clock=1980, memory_clock=2619, visible=True,
        )  # fmt: skip
        part = GpuSample(
            "1:0", "H100 MIG 1g.10gb", "MIG-b", 2 * GIB, 0, 10 * GIB, mig=True, visible=False
        )
        history = {
            "GPU-a busy": tuple(n / 100 for n in range(100)),
            "GPU-a power": tuple(0.3 + n / 300 for n in range(100)),
            "GPU-a memory": (0.5, 0.75),
            "GPU-a heat": (0.5, 0.64),
            "cpu": tuple(abs(50 - n) / 50 for n in range(100)),
            "memory": (0.1, 0.2, 0.4),
        }
        return MachineSample(HOST, (whole, part), history=history)

    def processes(self, machine: MachineSample) -> tuple[ProcessSample, ...]:
        return (
            ProcessSample(4711, "books · train", True, ("0",), 58 * GIB, 3 * GIB, 150.0),
            ProcessSample(815, "alice · python3", False, ("0", "1:0"), 2 * GIB, GIB, 12.0),
            ProcessSample(77_000, NOT_SEEN, False, ("0",), None),
        )


class EightGpus(MachineReader):
    """A machine with eight devices, one of which has fallen off the bus."""

    def read(self, pid: int | None = None) -> MachineSample:
        gpus = [
            GpuSample(
                str(n), "NVIDIA H100 80GB HBM3", f"GPU-{n}", (10 * n + 1) * GIB, GIB, 80 * GIB,
                10 * n, 40 + n, 100.0 * n, 700.0, clock=1000 + n, visible=True,
            )
            for n in range(8)
        ]  # fmt: skip
        gpus[5] = GpuSample("5", "GPU", "GPU 5", trouble="it fell off the bus")
        return MachineSample(HOST, tuple(gpus))

    def processes(self, machine: MachineSample) -> tuple[ProcessSample, ...]:
        return tuple(
            ProcessSample(100 + n, f"user{n} · python3", False, (str(n),), GIB) for n in range(8)
        )
