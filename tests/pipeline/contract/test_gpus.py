"""GPUs as NVML tells of them. The answers are canned, the library's own types and errors are real:
no machine of the tests has every kind of GPU and of failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from pipeline.contract.gpus import GpuProcess, GpuReader, GpuSample, visible_devices

GIB = 1 << 30


class Driver:
    """NVML with some devices, each a dict of what it answers; `fails` is an error code."""

    def __init__(self, *devices: dict[str, Any], fails: int | None = None) -> None:
        self._devices, self.fails = devices, fails
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(pynvml, name)

    def nvmlInit(self) -> None:
        self.opened += 1
        if self.fails is not None:
            raise pynvml.NVMLError(self.fails)

    def nvmlDeviceGetCount(self) -> int:
        return len(self._devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return self._devices[index]

    def nvmlDeviceGetMemoryInfo(self, device: Any, version: Any = None) -> Any:
        return answer(device, "memory" if version else "memory_v1")

    def nvmlDeviceGetMigMode(self, device: Any) -> Any:
        return [1, 1] if "instances" in device else answer(device, "mig")

    def nvmlDeviceGetMaxMigDeviceCount(self, device: Any) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Any, index: int) -> Any:
        if index >= len(device["instances"]):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return device["instances"][index]

    def nvmlDeviceGetName(self, device: Any) -> Any:
        return answer(device, "name")

    def nvmlDeviceGetUUID(self, device: Any) -> Any:
        return answer(device, "uuid")

    def nvmlDeviceGetUtilizationRates(self, device: Any) -> Any:
        return SimpleNamespace(gpu=answer(device, "busy"))

    def nvmlDeviceGetTemperature(self, device: Any, sensor: int) -> Any:
        return answer(device, "temperature")

    def nvmlDeviceGetPowerUsage(self, device: Any) -> Any:
        return answer(device, "power")

    def nvmlDeviceGetClockInfo(self, device: Any, of: int) -> Any:
        return answer(device, "memory_clock" if of == pynvml.NVML_CLOCK_MEM else "clock")

    def nvmlDeviceGetComputeRunningProcesses(self, device: Any) -> Any:
        return answer(device, "computing")

    def nvmlDeviceGetGraphicsRunningProcesses(self, device: Any) -> Any:
        return answer(device, "drawing")

    def nvmlDeviceGetEnforcedPowerLimit(self, device: Any) -> Any:
        return answer(device, "limit")


def answer(device: dict[str, Any], name: str) -> Any:
    if name not in device:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return device[name]


def memory(used: int, reserved: int, total: int) -> Any:
    found = pynvml.c_nvmlMemory_v2_t()
    found.used, found.reserved, found.total = used * GIB, reserved * GIB, total * GIB
    return found


def h100(uuid: str = "GPU-1", **more: Any) -> dict[str, Any]:
    return {
        "name": "NVIDIA H100",
        "uuid": uuid,
        "memory": memory(60, 1, 80),
        "busy": 97,
        "temperature": 64,
        "power": 412_000,
        "limit": 700_000,
        "clock": 1980,
        "memory_clock": 2619,
        "computing": [],
        **more,
    }


def test_a_device_tells_memory_load_heat_and_power() -> None:
    (gpu,) = GpuReader(Driver(h100())).read()
    assert (gpu.used, gpu.reserved, gpu.total) == (60 * GIB, GIB, 80 * GIB)
    assert (gpu.busy, gpu.temperature, gpu.power, gpu.power_limit) == (97, 64, 412.0, 700.0)
    assert not gpu.mig


def process(pid: int, used: int | None) -> Any:
    return SimpleNamespace(pid=pid, usedGpuMemory=used)


def test_a_device_tells_its_clocks_and_the_processes_on_it() -> None:
    busy = h100(computing=[process(7, 58 * GIB), process(8, GIB)], drawing=[process(8, GIB)])
    (gpu,) = GpuReader(Driver(busy)).read()
    assert (gpu.clock, gpu.memory_clock) == (1980, 2619)
    assert gpu.processes == (GpuProcess(7, 58 * GIB), GpuProcess(8, GIB))


def test_memory_of_processes_that_cannot_be_is_missing() -> None:
    told = [process(1, None), process(2, 0), process(3, 2**64 - 1), process(4, 81 * GIB)]
    (gpu,) = GpuReader(Driver(h100(computing=told, clock=0, memory_clock=2**32 - 1))).read()
    assert gpu.processes == tuple(GpuProcess(pid, None) for pid in (1, 2, 3, 4))
    assert (gpu.clock, gpu.memory_clock) == (None, None)


def test_a_driver_that_does_not_tell_processes_is_not_one_without_any() -> None:
    silent = h100()
    del silent["computing"]
    first, second = GpuReader(Driver(h100(), silent)).read()
    assert first.processes == ()
    assert second.processes is None


def test_an_old_driver_tells_memory_without_what_is_reserved() -> None:
    device = h100(memory_v1=SimpleNamespace(used=GIB, total=16 * GIB))
    del device["memory"]
    (gpu,) = GpuReader(Driver(device)).read()
    assert (gpu.used, gpu.reserved, gpu.total) == (GIB, None, 16 * GIB)


def test_what_a_device_does_not_tell_is_missing_and_not_zero() -> None:
    (gpu,) = GpuReader(Driver({"name": b"NVIDIA GB10", "uuid": "GPU-9"})).read()
    assert gpu.name == "NVIDIA GB10"
    assert (gpu.used, gpu.total, gpu.busy, gpu.power) == (None, None, None, None)


def test_mig_instances_have_memory_of_their_own_and_no_load() -> None:
    instances = [
        {"name": "NVIDIA H100 MIG 1g.10gb", "uuid": f"MIG-{n}", "memory": memory(n, 0, 10)}
        for n in (1, 2)
    ]
    whole, first, second = GpuReader(Driver(h100("GPU-0"), h100(instances=instances))).read()
    assert (whole.index, whole.mig) == ("0", False)
    assert [(g.index, g.uuid, g.used, g.busy) for g in (first, second)] == [
        ("1:0", "MIG-1", 1 * GIB, None),
        ("1:1", "MIG-2", 2 * GIB, None),
    ]
    assert first.mig
    assert (first.temperature, first.clock) == (64, 1980)


def test_a_cut_device_whose_instances_are_hidden_is_shown_whole() -> None:
    (gpu,) = GpuReader(Driver(h100(instances=[]))).read()
    assert gpu.mig
    assert gpu.busy is None


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver library here; in a container"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "the NVIDIA driver is not loaded"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "the driver was updated under its library"),
        (pynvml.NVML_ERROR_GPU_IS_LOST, "it fell off the bus"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "no permission to ask"),
        (pynvml.NVML_ERROR_UNKNOWN, "NVML says 'unknown error'"),
    ],
)
def test_each_way_to_have_no_gpu_has_its_own_line(code: int, told: str) -> None:
    reader = GpuReader(Driver(fails=code))
    assert reader.read() == ()
    assert reader.trouble.startswith(f"no GPU: {told}")
    assert "\n" not in reader.trouble


def test_another_package_in_the_place_of_nvidias_is_told() -> None:
    reader = GpuReader(SimpleNamespace(__version__="8.0"))
    assert reader.read() == ()
    assert "uninstall it" in reader.trouble


def test_a_driver_out_of_reach_is_asked_again_only_rarely() -> None:
    driver = Driver(fails=pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    reader = GpuReader(driver)
    for _ in range(5):
        reader.read()
    assert driver.opened == 1


def test_a_gpu_that_falls_off_the_bus_is_told() -> None:
    class Falling(Driver):
        def nvmlDeviceGetPowerUsage(self, device: Any) -> Any:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    (gpu,) = GpuReader(Falling(h100())).read()
    assert "fell off the bus" in gpu.trouble
    assert gpu.total is None


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, "it fell off the bus"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "no permission to ask"),
        (pynvml.NVML_ERROR_UNKNOWN, "NVML says 'unknown error'"),
    ],
)
def test_a_device_that_cannot_be_asked_hides_no_other(code: int, told: str) -> None:
    class Hidden(Driver):
        def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
            if index == 1:
                raise pynvml.NVMLError(code)
            return super().nvmlDeviceGetHandleByIndex(index)

    reader = GpuReader(Hidden(h100("GPU-a"), h100("GPU-b"), h100("GPU-c")))
    first, second, third = reader.read()
    assert (first.uuid, third.uuid) == ("GPU-a", "GPU-c")
    assert second.trouble.startswith(told)
    assert not reader.trouble


def test_devices_that_cannot_be_counted_are_told() -> None:
    class Uncounted(Driver):
        def nvmlDeviceGetCount(self) -> int:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    reader = GpuReader(Uncounted(h100()))
    assert reader.read() == ()
    assert reader.trouble == "no GPU: NVML says 'unknown error'"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"NVIDIA\xff", "NVIDIA\ufffd"),
        ("NVIDIA\x00\x1b[31m", "NVIDIA\ufffd\ufffd[31m"),
        (UnicodeDecodeError("utf-8", b"\xf8", 0, 1, "invalid"), "GPU"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED), "GPU"),
    ],
)
def test_a_garbled_name_is_made_harmless(name: object, shown: str) -> None:
    class Garbled(Driver):
        def nvmlDeviceGetName(self, device: Any) -> Any:
            if isinstance(name, Exception):
                raise name
            return name

    (gpu,) = GpuReader(Garbled(h100())).read()
    assert gpu.name == shown


def test_figures_that_cannot_be_are_missing() -> None:
    unknown = SimpleNamespace(used=2**64 - 1, reserved=2**64 - 1, total=80 * GIB)
    wild: dict[str, Any] = {
        "busy": 2**32 - 1,
        "temperature": 2**32 - 1,
        "power": 2**32 - 1,
        "limit": 2**32 - 1,
    }
    (gpu,) = GpuReader(Driver(h100(memory=unknown, **wild))).read()
    assert (gpu.used, gpu.reserved, gpu.total) == (None, None, 80 * GIB)
    assert (gpu.busy, gpu.temperature, gpu.power, gpu.power_limit) == (None, None, None, None)
    counted_twice = SimpleNamespace(used=79 * GIB, reserved=2 * GIB, total=80 * GIB)
    (gpu,) = GpuReader(Driver(h100(memory=counted_twice))).read()
    assert (gpu.used, gpu.reserved) == (79 * GIB, None)


def devices(*names: str) -> list[GpuSample]:
    return [GpuSample(str(n), name, f"GPU-{'abc'[n]}{n}") for n, name in enumerate(names)]


@pytest.mark.parametrize(
    ("environment", "visible"),
    [
        ({}, {"GPU-a0", "GPU-b1"}),
        ({"CUDA_VISIBLE_DEVICES": "1"}, {"GPU-b1"}),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a"}, {"GPU-a0"}),
        ({"CUDA_VISIBLE_DEVICES": "GPU-b1,0"}, {"GPU-a0", "GPU-b1"}),
        ({"CUDA_VISIBLE_DEVICES": ""}, set()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, set()),
        ({"CUDA_VISIBLE_DEVICES": "0,7,1"}, {"GPU-a0"}),
    ],
)
def test_the_devices_that_stages_may_use(environment: dict[str, str], visible: set[str]) -> None:
    assert visible_devices(environment, devices("H100", "H100")) == visible


def test_numbers_of_unlike_devices_are_known_only_in_the_order_of_the_bus() -> None:
    mixed = devices("H100", "T4")
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "0"}, mixed) is None
    ordered = {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert visible_devices(ordered, mixed) == {"GPU-a0"}
