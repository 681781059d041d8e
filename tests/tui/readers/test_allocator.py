"""What the allocator keeps of arrays that are gone."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHURN = """
import numpy as np
from tui.readers.allocator import give_back_large_arrays

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if {mended}:
    give_back_large_arrays()
np.ones(1 << 23, np.uint8)  # freed at once
before = resident()
gone, between = [], []
for _ in range(50):
    gone.append(np.ones(1 << 22, np.uint8))
    between.append(np.ones(1 << 17, np.uint8))
del gone
print(resident() - before - sum(array.nbytes for array in between))
"""


def kept(mended: bool) -> int:
    """Bytes that a fresh process still holds when fifty arrays of 4 MB are gone."""
    code = CHURN.format(mended=mended)
    run = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
    return int(run.stdout)


def test_large_arrays_that_are_gone_leave_no_memory_behind() -> None:
    if kept(mended=False) < 100e6:
        pytest.skip("the allocator of this machine gives memory back by itself")
    assert kept(mended=True) < 10e6
