"""How many prompts' gradients are held at once, from the device's memory and their own size.

Every pass over the training examples serves as many prompts as there is room for, so that room is
what decides how often all examples are gone through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kronfluence.utils.dataset import make_indices_partition

from pipeline.influence.arguments import gradient_bytes

CPU_PROMPT_BYTES = 2**31
"""For prompts' gradients on a CPU, whatever memory it has: scores there stay the same to the last
bit from machine to machine."""
_KEPT_FREE = 0.05
"""Share of a GPU's free memory that estimates may be wrong by, and that fragments take."""
_MOST_PROMPTS = {"cpu": 32, "cuda": 8}
"""Largest automatic number of prompts in a batch. Each of a batch needs several copies of a
module's gradient for a moment, which a GPU has better uses for."""
_COPIES = 4
"""Of a module's gradient while it is turned, divided and turned back."""
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Gathering:
    """How prompts are gathered for passes over the training examples."""

    at_once: int
    """Prompts in a batch."""
    batches: int
    """Batches of prompts that share a pass."""
    passes: int


def largest_part(shapes: Sequence[tuple[int, int]], parts: int) -> Sequence[tuple[int, int]]:
    """Of Kronfluence's module partitions the one with the largest gradients; [O, I] of each."""
    ends = make_indices_partition(len(shapes), min(parts, len(shapes)))
    return max((shapes[first:end] for first, end in ends), key=lambda part: gradient_bytes(part, 0))


def modules_at_once(
    kind: str, shapes: Sequence[tuple[int, int]], parts: int
) -> Sequence[tuple[int, int]]:
    """Shapes [O, I] of the modules that a device's room for prompts' gradients is reckoned with.

    On a CPU all of them, so that its passes do not depend on how the modules are parted.
    """
    return shapes if kind == "cpu" else largest_part(shapes, parts)


def prompt_memory(kind: str, free: int, held: int, least_batch: int) -> int:
    """Bytes for prompts' gradients on a device of this kind, "cpu" or "cuda".

    `free`: bytes of the device with the model on it; `held`: of the curvature; `least_batch`: of
    the smallest batch of training examples, the longest alone.
    """
    if kind == "cpu":
        return CPU_PROMPT_BYTES
    return max(0, int(free * (1 - _KEPT_FREE)) - held - least_batch)


def gathering(
    kind: str,
    memory: int,
    prompts: int,
    shapes: Sequence[tuple[int, int]],
    rank: int = 0,
    wanted_at_once: int = 0,
    wanted_batches: int = 0,
) -> Gathering:
    """Gathers prompts for as few passes as the memory for their gradients allows.

    `shapes`: [O, I] of the modules at once, see `modules_at_once`; `rank`: of compressed
    gradients, 0 = uncompressed; `wanted_…`: what the settings say, 0 = nothing.
    """
    at_once = min(wanted_at_once, prompts) or _at_once(kind, memory, prompts, shapes, rank)
    each = gradient_bytes(shapes, rank)
    most = memory if kind == "cpu" else memory - workspace(at_once, shapes)
    batches = wanted_batches or max(1, min(most // (each * at_once), math.ceil(prompts / at_once)))
    return Gathering(at_once, batches, math.ceil(prompts / (at_once * batches)))


def workspace(at_once: int, shapes: Sequence[tuple[int, int]]) -> int:
    """Bytes for a moment of a batch of prompts, beside the gradients that are kept."""
    return _COPIES * at_once * _FLOAT_BYTES * max(o * i for o, i in shapes)


def _at_once(
    kind: str, memory: int, prompts: int, shapes: Sequence[tuple[int, int]], rank: int
) -> int:
    if kind == "cpu":
        return max(1, min(memory // gradient_bytes(shapes, 0), _MOST_PROMPTS[kind], prompts))
    # the number that loses least of what there is room for: 20 prompts are 4 batches of 5, not
    # 2 of 8
    each, most = gradient_bytes(shapes, rank), min(_MOST_PROMPTS[kind], prompts)

    def served(at_once: int) -> tuple[int, int]:
        room = max(0, memory - workspace(at_once, shapes)) // (each * at_once)
        kept = at_once * max(1, room) if room or at_once == 1 else 0
        return -math.ceil(prompts / kept) if kept else -prompts - 1, at_once

    return max(range(1, most + 1), key=served)
