"""Devices that plans are made for: this machine's, a card by its name, or so much memory."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from pipeline.contract.container import memory_limit
from pipeline.contract.errors import UsageError
from pipeline.contract.results.plan import Hardware
from pipeline.contract.settings.schema import Settings
from pipeline.influence.memory_estimate import free_bytes
from pipeline.model import select_device

_GIB = 2**30
_CONTEXT = 600 << 20
"""Bytes of a GPU that its driver and the libraries' own workspaces take."""
_USED = 0.4
"""Share of a GPU's peak rate that large products reach with all that is around them."""
_PROBE = 768
"""Width of the matrices that measure a CPU."""


@dataclass(frozen=True)
class Speed:
    """Floating-point operations a second, as far as they are reached."""

    float32: float
    tensor: float
    """Of float32 numbers multiplied in TF32; where there is no TF32, as float32."""
    bfloat16: float
    float64: float


@dataclass(frozen=True)
class Device:
    """Hardware and how fast it is; None where nobody knows."""

    hardware: Hardware
    speed: Speed | None

    @property
    def has_bfloat16(self) -> bool:
        """Whether it multiplies bfloat16 faster than float32."""
        return self.speed is not None and self.speed.bfloat16 > self.speed.float32


@dataclass(frozen=True)
class _Card:
    """A GPU in its makers' figures."""

    gibibytes: float
    """As its driver reports them."""
    float32: float
    """Peak rates in TFLOP/s, dense."""
    tensor: float
    bfloat16: float
    float64: float

    def device(self, name: str, host: int, disk: int) -> Device:
        rates = (self.float32, self.tensor, self.bfloat16, self.float64)
        memory = int(self.gibibytes * _GIB) - _CONTEXT
        told = f"{_USED:.0%} of the peak rates that its maker states"
        hardware = Hardware(name, "cuda", memory, host, disk, told)
        return Device(hardware, Speed(*(_USED * 1e12 * rate for rate in rates)))


CARDS = {
    "H200": _Card(139.8, 66.9, 494.7, 989.4, 66.9),
    "H100-80GB": _Card(79.1, 66.9, 494.7, 989.4, 66.9),
    "A100-80GB": _Card(79.1, 19.5, 156.0, 312.0, 19.5),
    "A100-40GB": _Card(39.4, 19.5, 156.0, 312.0, 19.5),
    "L40S": _Card(44.4, 91.6, 183.0, 362.0, 1.4),
    "A6000": _Card(47.5, 38.7, 77.4, 154.8, 0.6),
    "A40": _Card(44.4, 37.4, 74.8, 149.7, 0.6),
    "RTX4090": _Card(23.6, 82.6, 82.6, 165.2, 1.3),
    "RTX3090": _Card(23.6, 35.6, 35.6, 71.0, 0.6),
    "A10G": _Card(22.0, 31.2, 35.0, 70.0, 0.5),
    "L4": _Card(22.0, 30.3, 60.0, 121.0, 0.5),
    "T4": _Card(14.6, 8.1, 8.1, 8.1, 0.25),
    "V100-32GB": _Card(31.7, 15.7, 15.7, 15.7, 7.8),
    "V100-16GB": _Card(15.8, 15.7, 15.7, 15.7, 7.8),
}


def named_card(name: str, folder: Path) -> Device:
    """A card of the table, or several, as "4xA100-80GB"; letters, digits and nothing else count.

    Raises:
        UsageError: it is not in the table.
    """
    several = re.fullmatch(r"([1-9][0-9]{0,2})\s*[x×]\s*(.+)", name.strip().lower())
    cards, one = (int(several[1]), several[2]) if several else (1, name)
    found = {_plain(known): known for known in CARDS}.get(_plain(one))
    if found is None:
        raise UsageError(
            f"--gpu {name}: not known; valid: {', '.join(CARDS)}",
            "4xH100-80GB is four of them; or name its memory instead: --memory 24GiB",
        )
    card = CARDS[found].device(found, *_machine(folder))
    return replace(card, hardware=replace(card.hardware, cards=cards))


def card_of_memory(memory: int, folder: Path) -> Device:
    """A GPU of which only its bytes of memory are known."""
    hardware = Hardware("a GPU", "cuda", max(0, memory - _CONTEXT), *_machine(folder), "")
    return Device(hardware, None)


def this_device(settings: Settings, folder: Path) -> Device:
    """The device of this machine that the settings choose.

    Raises:
        UsageError: they choose a GPU, and there is none.
    """
    device = select_device(settings)
    host, disk = _machine(folder)
    if device.type == "cpu":
        told = "a product of two matrices, measured now"
        memory = free_bytes(device) + psutil.Process().memory_info().rss
        return Device(Hardware("CPU", "cpu", memory, host, disk, told), _measured_speed())
    name, memory = torch.cuda.get_device_name(device), free_bytes(device)
    card = next((card for known, card in CARDS.items() if _plain(known) in _plain(name)), None)
    known = card.device(name, host, disk) if card else card_of_memory(memory + _CONTEXT, folder)
    cards = torch.cuda.device_count()
    hardware = Hardware(name, "cuda", memory, host, disk, known.hardware.timed, cards)
    return Device(hardware, known.speed)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _machine(folder: Path) -> tuple[int, int]:
    """Bytes of memory of the machine or its container, and bytes free on the folder's disk."""
    limit = memory_limit()
    total = int(psutil.virtual_memory().total)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return min(total, limit.limit) if limit else total, shutil.disk_usage(there).free


def _measured_speed() -> Speed:
    float32, float64 = (_rate(dtype) for dtype in (torch.float32, torch.float64))
    return Speed(float32, float32, float32, float64)


def _rate(dtype: torch.dtype) -> float:
    matrix = torch.ones(_PROBE, _PROBE, dtype=dtype)
    fastest = float("inf")
    for _ in range(4):  # the first one starts the threads
        begun = time.perf_counter()
        torch.mm(matrix, matrix)
        fastest = min(fastest, time.perf_counter() - begun)
    return 2 * _PROBE**3 / fastest
