"""Memory limits of control groups, read from folders as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.container import MemoryLimit, memory_limit, usable_cpus

GIB = 2**30


def group(folder: Path, limit: str, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")


def own(tmp_path: Path, text: str) -> Path:
    (tmp_path / "own").write_text(text)
    return tmp_path / "own"


def test_files_that_the_kernel_would_drop_do_not_count_as_used(tmp_path: Path) -> None:
    group(tmp_path / "groups", str(8 * GIB), 5 * GIB, cache=3 * GIB)
    found = memory_limit(tmp_path / "groups", own(tmp_path, "0::/\n"))
    assert found == MemoryLimit(8 * GIB, 2 * GIB)
    assert found.left == 6 * GIB


def test_the_tightest_of_all_groups_above_counts(tmp_path: Path) -> None:
    group(tmp_path / "groups/pod", str(4 * GIB), 3 * GIB)
    group(tmp_path / "groups/pod/us", str(16 * GIB), GIB)
    found = memory_limit(tmp_path / "groups", own(tmp_path, "0::/pod/us\n"))
    assert found == MemoryLimit(4 * GIB, 3 * GIB)


def test_a_path_of_the_host_that_cannot_be_seen_leaves_the_root(tmp_path: Path) -> None:
    group(tmp_path / "groups", str(2 * GIB), GIB)
    found = memory_limit(tmp_path / "groups", own(tmp_path, "0::/docker/abc\n"))
    assert found == MemoryLimit(2 * GIB, GIB)


def test_the_older_version_is_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "groups/memory/docker/abc"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(str(3 * GIB))
    (folder / "memory.usage_in_bytes").write_text(str(2 * GIB))
    (folder / "memory.stat").write_text(f"total_inactive_file {GIB}\n")
    lines = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n"
    assert memory_limit(tmp_path / "groups", own(tmp_path, lines)) == MemoryLimit(3 * GIB, GIB)


@pytest.mark.parametrize("limit", ["max", str(2**63 - 4096)])
def test_no_limit_is_none(tmp_path: Path, limit: str) -> None:
    group(tmp_path / "groups", limit, GIB)
    assert memory_limit(tmp_path / "groups", own(tmp_path, "0::/\n")) is None


@pytest.mark.parametrize(
    ("own_group", "files", "cpus"),
    [
        ("0::/\n", {"cpu.max": "100000 100000"}, 1),
        ("0::/pod/us\n", {"pod/cpu.max": "110000 100000", "pod/us/cpu.max": "max 100000"}, 2),
        ("0::/docker/abc\n", {"cpu.max": "20000 100000"}, 1),
        (
            "4:cpu,cpuacct:/us\n2:memory:/us\n",
            {
                "cpu,cpuacct/us/cpu.cfs_quota_us": "50000",
                "cpu,cpuacct/us/cpu.cfs_period_us": "100000",
            },
            1,
        ),
        ("3:cpu:/us\n", {"cpu/us/cpu.cfs_quota_us": "-1", "cpu/us/cpu.cfs_period_us": "100000"}, 3),
        ("0::/\n", {"cpu.max": "max 100000"}, 3),
        ("0::/\n", {"cpu.max": "9900000 100000"}, 3),
        ("0::/\n", {"cpu.max": "garbage"}, 3),
    ],
)
def test_a_quota_of_cpu_time_limits_the_threads(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_group: str,
    files: dict[str, str],
    cpus: int,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2})
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(f"{content}\n")
    assert usable_cpus(tmp_path / "groups", own(tmp_path, own_group)) == cpus


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "nothing") is None
    assert memory_limit(tmp_path, own(tmp_path, "0::/\n")) is None
