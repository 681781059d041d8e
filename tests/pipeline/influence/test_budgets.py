"""How many prompts share a pass over the training examples, on a CPU and on cards of any size."""

from __future__ import annotations

import pytest

from pipeline.influence.arguments import covariance_bytes, gradient_bytes
from pipeline.influence.budgets import (
    CPU_PROMPT_BYTES,
    gathering,
    largest_part,
    modules_at_once,
    prompt_memory,
    workspace,
)

TINYLLAMA = [(5632, 2048), (5632, 2048), (2048, 5632)] * 22
"""Shapes of the MLPs of TinyLlama-1.1B."""


def test_on_a_cpu_prompts_stay_in_memory_as_far_as_two_gibibytes_reach() -> None:
    """100 prompts, 32 at once, of one module of 2^20 weights: 4 MiB each, 2^18 bytes at rank 32."""
    assert prompt_memory("cpu", free=2**40, held=0, least_batch=0) == CPU_PROMPT_BYTES
    shapes = [(1024, 1024)]

    def batches(times: int, rank: int) -> int:
        found = gathering("cpu", CPU_PROMPT_BYTES, 100, shapes * times, rank, wanted_at_once=32)
        return found.batches

    assert batches(1, rank=0) == 4
    assert batches(8, rank=0) == 2
    assert batches(66, rank=0) == 1
    assert batches(66, rank=32) == 3
    assert gathering("cpu", CPU_PROMPT_BYTES, 100, shapes, 0, 32, wanted_batches=3).batches == 3


def test_two_gibibytes_make_a_hundred_passes_of_tinyllama() -> None:
    assert gathering("cpu", CPU_PROMPT_BYTES, 100, TINYLLAMA).passes == 100


@pytest.mark.parametrize("prompts", [1, 2, 7, 20, 50, 100, 1000])
@pytest.mark.parametrize("gibibytes", [0, 1, 4, 13, 60, 130])
@pytest.mark.parametrize("rank", [0, 64])
def test_a_gpu_holds_no_more_than_its_memory_and_serves_every_prompt(
    prompts: int, gibibytes: int, rank: int
) -> None:
    memory = gibibytes * 2**30
    found = gathering("cuda", memory, prompts, TINYLLAMA, rank)
    kept = found.at_once * found.batches
    assert kept * found.passes >= prompts
    assert found.at_once <= prompts
    taken = kept * gradient_bytes(TINYLLAMA, rank) + workspace(found.at_once, TINYLLAMA)
    assert taken <= memory or kept == 1


def test_a_gpu_makes_the_fewest_passes_that_its_memory_allows() -> None:
    one = gradient_bytes(TINYLLAMA, 0)
    for room in range(1, 40):
        memory = room * one + workspace(1, TINYLLAMA)
        assert gathering("cuda", memory, 100, TINYLLAMA).passes == -(-100 // room)


def test_what_a_gpu_holds_besides_is_left_free() -> None:
    held, least = covariance_bytes(TINYLLAMA), 3 * 2**30
    assert prompt_memory("cuda", 75 * 10**9, held, least) < 75 * 10**9 - held - least
    assert prompt_memory("cuda", 10**9, held, least) == 0


def test_modules_in_parts_leave_a_card_room_for_more_prompts() -> None:
    memory = 20 * 2**30
    passes = [
        gathering("cuda", memory, 100, modules_at_once("cuda", TINYLLAMA, parts)).passes
        for parts in (1, 2, 4)
    ]
    assert passes == [17, 8, 4]
    assert modules_at_once("cpu", TINYLLAMA, 4) == TINYLLAMA


@pytest.mark.parametrize("parts", [1, 3, 5, 66, 100])
def test_no_part_of_the_modules_is_larger_than_the_one_that_is_reckoned_with(parts: int) -> None:
    shapes = [(8 * n, 3) for n in range(1, 41)]
    part = largest_part(shapes, parts)
    assert part[-1] == shapes[-1]  # the widest come last
    assert len(part) in {len(shapes) // min(parts, 40), -(-len(shapes) // min(parts, 40))}
