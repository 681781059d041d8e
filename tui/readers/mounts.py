"""Whether a folder outlives the container that it is seen in."""

from __future__ import annotations

from pathlib import Path

import psutil

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files of Docker and Podman."""
_IN_MEMORY = ("tmpfs", "ramfs")


def in_container() -> bool:
    """Whether this is a container of Docker or Podman."""
    return any(mark.exists() for mark in _MARKS)


def ends_with_container(folder: Path) -> bool:
    """Whether a folder, which need not be there yet, lies on no mount of its own, or in memory:
    a container's own files are removed with it."""
    folder = folder.resolve()
    mounts = [
        (Path(part.mountpoint), part.fstype)
        for part in psutil.disk_partitions(all=True)
        if folder.is_relative_to(part.mountpoint)
    ]
    place, kind = max(mounts, key=lambda mount: len(mount[0].parts), default=(Path("/"), ""))
    return place == Path("/") or kind in _IN_MEMORY


def nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that is there."""
    folder = folder.resolve()
    return next(path for path in [folder, *folder.parents] if path.exists())
