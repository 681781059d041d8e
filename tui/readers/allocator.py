"""Memory that large arrays took goes back to the system as soon as they are gone."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` of glibc's malloc.h."""
_LARGE_BYTES = 1 << 20


def give_back_large_arrays() -> None:
    """Has the allocator take large arrays from the system, and not from its own arenas.

    glibc does so until the first is freed; then its threshold grows to that one's size (mallopt(3),
    "dynamic mmap threshold"), and what threads sort stays resident in an arena for each of them.
    Other allocators have no such setting.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
