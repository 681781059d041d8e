"""What a folder lies on: whether it outlives the container, and whether other machines see it."""

from __future__ import annotations

from pathlib import Path

import psutil

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Files of Docker and Podman."""
_IN_MEMORY = ("tmpfs", "ramfs")
_ON_DISK = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "overlay")


def in_container() -> bool:
    """Whether this is a container of Docker or Podman."""
    return any(mark.exists() for mark in _MARKS)


def ends_with_container(folder: Path) -> bool:
    """Whether a folder, which need not be there yet, lies on no mount of its own, or in memory:
    a container's own files are removed with it."""
    place, kind = _mount(folder)
    return place == Path("/") or kind in _IN_MEMORY


def local_filesystem(folder: Path) -> str:
    """The kind of a folder's filesystem where no other machine can see it by mounting the same,
    such as ext4; empty where one may."""
    kind = _mount(folder)[1]
    return kind if kind in (*_IN_MEMORY, *_ON_DISK) else ""


def _mount(folder: Path) -> tuple[Path, str]:
    """Where the folder's filesystem is mounted, and of what kind it is."""
    folder = folder.resolve()
    mounts = [
        (Path(part.mountpoint), part.fstype)
        for part in psutil.disk_partitions(all=True)
        if folder.is_relative_to(part.mountpoint)
    ]
    return max(mounts, key=lambda mount: len(mount[0].parts), default=(Path("/"), ""))


def nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that is there."""
    folder = folder.resolve()
    return next(path for path in [folder, *folder.parents] if path.exists())
