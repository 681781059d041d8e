"""Every GPU of the machine, by NVML: whole devices and MIG instances."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_RETRY_S = 60.0
"""How long to wait before NVML is asked again where it was out of reach: asking is slow."""
_WATT = 1000.0
_MOST_BYTES = 1 << 50
_MOST_CELSIUS = 200
_MOST_MILLIWATTS = 100_000_000
_MOST_MEGAHERTZ = 100_000
_OF_THE_WHOLE = ("temperature", "power", "power_limit", "clock", "memory_clock")
"""What a MIG instance has only together with the others of its device."""


@dataclass(frozen=True)
class GpuProcess:
    """A process that has memory on a device, as the driver tells it."""

    pid: int
    """In a container it may be the host's number, which is nobody's here."""
    used: int | None
    """Bytes; None where the driver does not tell, or tells 0, as in some containers."""


@dataclass(frozen=True)
class GpuSample:
    """One device or MIG instance. Bytes, °C, watts, MHz; None where the driver does not tell."""

    index: str
    """NVML's order, which is the PCI bus's: "0", or "0:1" for a MIG instance."""
    name: str
    uuid: str
    used: int | None = None
    reserved: int | None = None
    """Held by the driver and the firmware: neither used nor free."""
    total: int | None = None
    busy: int | None = None
    """Per cent of the last interval in which at least one kernel ran: not how full it was."""
    temperature: int | None = None
    power: float | None = None
    power_limit: float | None = None
    clock: int | None = None
    """Of its multiprocessors."""
    memory_clock: int | None = None
    processes: tuple[GpuProcess, ...] | None = None
    mig: bool = False
    """Whether it is a MIG instance, or cut into such: NVML tells no utilisation then."""
    visible: bool | None = None
    """Whether CUDA_VISIBLE_DEVICES lets stages use it; None where that cannot be known."""
    trouble: str = ""
    """Why it tells nothing; empty where it tells something."""


class GpuReader:
    """Asks NVML; says in one line why there is no GPU where there is none.

    A device that cannot be asked says so itself, and hides no other.
    """

    def __init__(self, nvml: Any = None, environment: Mapping[str, str] | None = None) -> None:
        self._nvml = nvml
        self._environment = environment or {}
        self._count: int | None = None
        self._asked = 0.0
        self.trouble = ""

    def read(self) -> tuple[GpuSample, ...]:
        """One sample of every device; none where NVML is out of reach."""
        if self._count is None and not self._open():
            return ()
        samples = [sample for n in range(self._count or 0) for sample in self._samples(n)]
        allowed = visible_devices(self._environment, samples)
        return tuple(
            replace(gpu, visible=None if allowed is None else gpu.uuid in allowed)
            for gpu in samples
        )

    def driver_version(self) -> str:
        """The driver's version; empty where it is out of reach."""
        return "" if not self.read() else _text(self._ask("nvmlSystemGetDriverVersion"))

    def _open(self) -> bool:
        """Counts the devices, now and then."""
        if self._asked and time.monotonic() - self._asked < _RETRY_S:
            return False
        self._asked = time.monotonic()
        if self._nvml is None:
            import pynvml  # 50 ms that the first paint need not wait for

            self._nvml = pynvml
        nvml = self._nvml
        if not hasattr(nvml, "nvmlInit"):
            self.trouble = "no GPU: the package pynvml hides NVIDIA's own; uninstall it"
            return False
        try:
            nvml.nvmlInit()
            self._count = nvml.nvmlDeviceGetCount() or None
            self.trouble = "" if self._count else "no GPU in this machine"
        except nvml.NVMLError as error:
            self.trouble = f"no GPU: {_told(error, nvml)}"
        return self._count is not None

    def _samples(self, index: int) -> list[GpuSample]:
        """The device, or its MIG instances; or why it tells nothing."""
        nvml = self._nvml
        try:
            # asked anew each time: of a device that comes back an old handle stays lost
            return list(self._device(index, nvml.nvmlDeviceGetHandleByIndex(index)))
        except nvml.NVMLError as error:
            if error.value == nvml.NVML_ERROR_UNINITIALIZED:
                self._count = None  # the driver was loaded anew
            return [GpuSample(str(index), "GPU", f"GPU {index}", trouble=_told(error, nvml))]

    def _device(self, index: int, handle: Any) -> Iterator[GpuSample]:
        """The device, or its MIG instances where it is cut into such."""
        mode = self._ask("nvmlDeviceGetMigMode", handle)
        cut = bool(mode and mode[0])
        whole = self._sample(str(index), handle, mig=cut)
        instances = list(self._instances(handle)) if cut else []
        for number, instance in enumerate(instances):
            part = self._sample(f"{index}:{number}", instance, mig=True)
            yield replace(part, **{name: getattr(whole, name) for name in _OF_THE_WHOLE})
        if not instances:
            yield whole

    def _instances(self, handle: Any) -> Iterator[Any]:
        for number in range(self._ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            instance = self._ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, number)
            if instance is not None:
                yield instance

    def _sample(self, index: str, handle: Any, mig: bool) -> GpuSample:
        nvml, ask = self._nvml, self._ask
        memory = ask("nvmlDeviceGetMemoryInfo", handle, nvml.nvmlMemory_v2)
        memory = memory or ask("nvmlDeviceGetMemoryInfo", handle)  # drivers before 510
        rates = None if mig else ask("nvmlDeviceGetUtilizationRates", handle)
        total = _within(getattr(memory, "total", None), _MOST_BYTES)
        used = _within(getattr(memory, "used", None), total)
        heat = ask("nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU)
        return GpuSample(
            index=index,
            name=_text(ask("nvmlDeviceGetName", handle)) or "GPU",
            uuid=_text(ask("nvmlDeviceGetUUID", handle)) or f"GPU {index}",
            used=used,
            reserved=_within(
                getattr(memory, "reserved", None), None if used is None else (total or 0) - used
            ),
            total=total,
            busy=_within(getattr(rates, "gpu", None), 100),
            temperature=_within(heat, _MOST_CELSIUS),
            power=_watts(ask("nvmlDeviceGetPowerUsage", handle)),
            power_limit=_watts(ask("nvmlDeviceGetEnforcedPowerLimit", handle)),
            clock=self._clock(handle, nvml.NVML_CLOCK_SM),
            memory_clock=self._clock(handle, nvml.NVML_CLOCK_MEM),
            processes=self._processes(handle, total),
            mig=mig,
        )

    def _clock(self, handle: Any, of: int) -> int | None:
        """MHz; 0 is told where it cannot be read."""
        return _within(self._ask("nvmlDeviceGetClockInfo", handle, of), _MOST_MEGAHERTZ) or None

    def _processes(self, handle: Any, total: int | None) -> tuple[GpuProcess, ...] | None:
        """Those that compute and those that draw, each once."""
        kinds = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses")
        told = [found for kind in kinds if (found := self._ask(kind, handle)) is not None]
        by_pid = {
            one.pid: GpuProcess(one.pid, _within(one.usedGpuMemory, total) or None)
            for found in told
            for one in found
        }
        return tuple(by_pid.values()) if told else None

    def _ask(self, question: str, *arguments: Any) -> Any:
        """Any single figure may be missing, as under MIG or on unified memory.

        Raises:
            NVMLError: the device, or all of NVML, is gone.
        """
        nvml = self._nvml
        try:
            return getattr(nvml, question)(*arguments)
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_UNINITIALIZED):
                raise
            return None
        except (ValueError, AttributeError):  # a garbled text; a function of newer drivers
            return None


def _within(value: Any, most: int | None) -> int | None:
    """A figure that can be; None for what drivers tell in the place of one, such as 2**64 - 1."""
    if not isinstance(value, int) or most is None or not 0 <= value <= most:
        return None
    return value


def _told(error: Any, nvml: Any) -> str:
    """One line for each way in which NVML, or a device, can be out of reach."""
    reasons = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver library here; "
        "in a container start it with --gpus all",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded; try `nvidia-smi`",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated under its library; "
        "reboot, or restart the container",
        nvml.NVML_ERROR_GPU_IS_LOST: "it fell off the bus; the machine must be restarted",
        nvml.NVML_ERROR_NO_PERMISSION: "no permission to ask the NVIDIA driver",
    }
    return reasons.get(error.value, f"NVML says {str(error).lower()!r}")


def visible_devices(
    environment: Mapping[str, str], devices: Sequence[GpuSample]
) -> set[str] | None:
    """UUIDs of the devices that CUDA_VISIBLE_DEVICES leaves; None where that cannot be known.

    Numbers count in CUDA's order, which is NVML's only by CUDA_DEVICE_ORDER=PCI_BUS_ID or where
    all devices are alike. As in CUDA, the first entry that names nothing ends the list.
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return {device.uuid for device in devices}
    wholes = [device for device in devices if ":" not in device.index]
    alike = len({device.name for device in wholes}) <= 1
    ordered = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or alike
    visible: set[str] = set()
    for entry in filter(None, map(str.strip, named.split(","))):
        if entry.isdecimal() and not ordered:
            return None
        matches = [d.uuid for d in devices if _is_named(d, entry)]
        if not matches:
            break
        visible.update(matches)
    return visible


def _is_named(device: GpuSample, entry: str) -> bool:
    """Whether an entry is the device's number, or the beginning of its UUID."""
    return device.index == entry if entry.isdecimal() else device.uuid.startswith(entry)


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _watts(milliwatts: Any) -> float | None:
    found = _within(milliwatts, _MOST_MILLIWATTS)
    return found / _WATT if found is not None else None
