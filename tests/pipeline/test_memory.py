"""Exhausted memory and disks are said in one line, and nothing else is mistaken for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.contract.errors import ResourceError
from pipeline.memory import exhaustion_explained


def test_no_memory_gives_the_advice() -> None:
    with (
        pytest.raises(ResourceError, match="out of memory") as caught,
        exhaustion_explained("rest"),
    ):
        torch.empty(2**55)
    assert caught.value.hint == "rest"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_full_in_the_middle_of_a_checkpoint() -> None:
    with pytest.raises(ResourceError, match="disk full"), exhaustion_explained(""):
        torch.save({"weights": torch.zeros(100_000)}, "/dev/full")


def test_any_other_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), exhaustion_explained(""):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
