"""Numbers with their units, as a person reads them."""

from __future__ import annotations


def size(count: float | None) -> str:
    """Bytes as "512 B", "3.4 MiB", "12 GiB"; "–" for None."""
    if count is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
