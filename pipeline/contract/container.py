"""What a container's limits leave of the machine's memory (Linux control groups, v2 and v1)."""

from __future__ import annotations

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
    try:
        lines = own_group.read_text().splitlines()
    except OSError:
        return None
    limits = [limit for line in lines for limit in _limits(groups, *line.split(":", 2)[1:])]
    return min(limits, key=lambda limit: limit.left, default=None)


def _limits(groups: Path, controllers: str, path: str) -> Iterator[MemoryLimit]:
    """Those of a group and of the groups that it lies in.

    Inside a container the path may be the host's, of which only the root is to be seen.
    """
    if controllers not in ("", "memory"):
        return
    names, root = (_V1, groups / "memory") if controllers else (_V2, groups)
    group = root / path.lstrip("/")
    for folder in {root, *(each for each in (group, *group.parents) if each.is_relative_to(root))}:
        limit = _read(folder, names)
        if limit is not None:
            yield limit


def _read(folder: Path, names: _Names) -> MemoryLimit | None:
    try:
        limit = (folder / names.limit).read_text().strip()
        used = int((folder / names.used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    if limit == "max" or int(limit) >= _NO_LIMIT:
        return None
    return MemoryLimit(int(limit), max(0, used - int(stat.get(names.droppable, 0))))
