"""What a container's limits leave of the machine (Linux control groups, v2 and v1)."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
_NO_LIMIT = 2**60
"""v1 writes a number near 2**63 where there is no limit."""


@dataclass(frozen=True)
class MemoryLimit:
    """A control group's memory in bytes."""

    limit: int
    used: int
    """Without files' contents that the kernel would drop before anything was refused."""

    @property
    def left(self) -> int:
        """What may still be taken."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True)
class _Names:
    """A version's files."""

    limit: str
    used: str
    droppable: str
    """A line of memory.stat."""


_V2 = _Names("memory.max", "memory.current", "inactive_file")
_V1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def memory_limit(groups: Path = GROUPS, own_group: Path = OWN_GROUP) -> MemoryLimit | None:
    """The tightest limit that this process stands under; None where there is none."""
    folders = _groups(groups, own_group, "memory")
    limits = [limit for folder in folders for names in (_V2, _V1) for limit in _read(folder, names)]
    return min(limits, key=lambda limit: limit.left, default=None)


def usable_cpus(groups: Path = GROUPS, own_group: Path = OWN_GROUP) -> int:
    """How many CPUs this process may keep busy: those it may run on, or as many as its quota of
    CPU time is worth, rounded up.

    More threads than that are stopped by the kernel, all at once, until the next period.
    """
    allowed = len(os.sched_getaffinity(0))
    quotas = [quota for folder in _groups(groups, own_group, "cpu") for quota in _quota(folder)]
    return max(1, min([allowed, *map(math.ceil, quotas)]))


def _quota(folder: Path) -> Iterator[float]:
    """The quota of a group in CPUs, if it has one."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            figures = " ".join((folder / name).read_text() for name in names).split()
            if figures[0] not in ("max", "-1"):
                yield int(figures[0]) / int(figures[1])
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue


def _groups(groups: Path, own_group: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's groups of a controller, and of those that they lie in.

    Inside a container the path may be the host's, of which only the root is to be seen.
    """
    try:
        lines = own_group.read_text().splitlines()
    except OSError:
        return
    for controllers, path in (line.split(":", 2)[1:] for line in lines):
        if not controllers:
            root = groups
        elif controller in controllers.split(","):
            root = next(
                (f for f in (groups / controllers, groups / controller) if f.is_dir()), groups
            )
        else:
            continue
        group = root / path.lstrip("/")
        yield from {root, *(f for f in (group, *group.parents) if f.is_relative_to(root))}


def _read(folder: Path, names: _Names) -> Iterator[MemoryLimit]:
    """The limit of a group, if it has one."""
    try:
        limit = (folder / names.limit).read_text().strip()
        if limit == "max" or int(limit) >= _NO_LIMIT:
            return
        used = int((folder / names.used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return
    yield MemoryLimit(int(limit), max(0, used - int(stat.get(names.droppable, 0))))
