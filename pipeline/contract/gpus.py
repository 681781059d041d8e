"""Every GPU of the machine, by NVML: whole devices and MIG instances."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_RETRY_S = 60.0
"""How long to wait before NVML is asked again where it was out of reach: asking is slow."""
_WATT = 1000.0


@dataclass(frozen=True)
class GpuSample:
    """One device or MIG instance. Bytes, °C, watts; None where the driver does not tell."""

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
    mig: bool = False
    """Whether it is a MIG instance, or cut into such: NVML tells no utilisation then."""
    visible: bool | None = None
    """Whether CUDA_VISIBLE_DEVICES lets stages use it; None where that cannot be known."""


class GpuReader:
    """Asks NVML; says in one line why there is no GPU where there is none."""

    def __init__(self, nvml: Any = None, environment: Mapping[str, str] | None = None) -> None:
        self._nvml = nvml
        self._environment = environment or {}
        self._handles: list[Any] | None = None
        self._asked = 0.0
        self.trouble = ""

    def read(self) -> tuple[GpuSample, ...]:
        """One sample of every device; none where NVML is out of reach."""
        if self._handles is None and not self._open():
            return ()
        samples = [s for n, h in enumerate(self._handles or ()) for s in self._device(n, h)]
        allowed = visible_devices(self._environment, samples)
        return tuple(
            replace(gpu, visible=None if allowed is None else gpu.uuid in allowed)
            for gpu in samples
        )

    def _open(self) -> bool:
        """Finds the devices, now and then; a handle stays good for as long as the driver does."""
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
            count = nvml.nvmlDeviceGetCount()
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)] or None
            self.trouble = "" if count else "no GPU in this machine"
        except nvml.NVMLError as error:
            self.trouble = _trouble(error, nvml)
        return self._handles is not None

    def _device(self, index: int, handle: Any) -> Iterator[GpuSample]:
        """The device, or its MIG instances where it is cut into such."""
        mode = self._ask(self._nvml.nvmlDeviceGetMigMode, handle)
        cut = bool(mode and mode[0])
        whole = self._sample(str(index), handle, mig=cut)
        instances = list(self._instances(handle)) if cut else []
        for number, instance in enumerate(instances):
            part = self._sample(f"{index}:{number}", instance, mig=True)
            yield replace(
                part,
                temperature=whole.temperature,
                power=whole.power,
                power_limit=whole.power_limit,
            )
        if not instances:
            yield whole

    def _instances(self, handle: Any) -> Iterator[Any]:
        nvml = self._nvml
        for number in range(self._ask(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            instance = self._ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
            if instance is not None:
                yield instance

    def _sample(self, index: str, handle: Any, mig: bool) -> GpuSample:
        nvml, ask = self._nvml, self._ask
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
        memory = memory or ask(nvml.nvmlDeviceGetMemoryInfo, handle)  # drivers before 510
        rates = None if mig else ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        return GpuSample(
            index=index,
            name=_text(ask(nvml.nvmlDeviceGetName, handle)) or "GPU",
            uuid=_text(ask(nvml.nvmlDeviceGetUUID, handle)),
            used=memory.used if memory else None,
            reserved=getattr(memory, "reserved", None),
            total=memory.total if memory else None,
            busy=rates.gpu if rates else None,
            temperature=ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            power=_watts(ask(nvml.nvmlDeviceGetPowerUsage, handle)),
            power_limit=_watts(ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
            mig=mig,
        )

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """Any single figure may be missing, as under MIG or on unified memory."""
        nvml = self._nvml
        try:
            return question(*arguments)
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_UNINITIALIZED):
                self.trouble, self._handles = _trouble(error, nvml), None
            return None


def _trouble(error: Any, nvml: Any) -> str:
    """One line for each way in which NVML can be out of reach."""
    reasons = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver library here; "
        "in a container start it with --gpus all",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded; try `nvidia-smi`",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the driver was updated under its library; "
        "reboot, or restart the container",
        nvml.NVML_ERROR_GPU_IS_LOST: "a GPU fell off the bus; the machine must be restarted",
        nvml.NVML_ERROR_NO_PERMISSION: "no permission to ask the NVIDIA driver",
    }
    return f"no GPU: {reasons.get(error.value, f'NVML says {str(error).lower()!r}')}"


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
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _watts(milliwatts: int | None) -> float | None:
    return milliwatts / _WATT if milliwatts is not None else None
