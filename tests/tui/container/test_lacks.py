"""What a container was started without is said in one message each."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tui.container import lacks
from tui.readers import mounts


@pytest.fixture
def nothing_writable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an account that is not the folder's owner."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)


def test_runs_in_the_containers_own_files_are_called_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lacks, "ends_with_container", lambda folder: True)
    told = lacks.not_kept(Path("/headwater/runs"))
    assert "/headwater/runs lies inside the container and is removed with it" in told
    assert '-v "$PWD:' in told


def test_what_is_mounted_outlives_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def mounted(place: str, kind: str) -> bool:
        disks = [disk("/", "overlay"), disk(place, kind)]
        monkeypatch.setattr("psutil.disk_partitions", lambda all: disks)
        return not mounts.ends_with_container(tmp_path / "runs")

    assert mounted(str(tmp_path), "ext4")
    assert not mounted(str(tmp_path), "tmpfs")
    assert not mounted(str(tmp_path / "other"), "ext4")


def disk(mountpoint: str, fstype: str) -> SimpleNamespace:
    return SimpleNamespace(mountpoint=mountpoint, fstype=fstype)


@pytest.mark.usefixtures("nothing_writable")
def test_a_folder_of_another_owner_is_named_with_the_option_that_helps(tmp_path: Path) -> None:
    owner = tmp_path.stat()
    told = lacks.not_writable(tmp_path / "runs")
    assert f"belongs to {owner.st_uid}:{owner.st_gid} and cannot be written" in told
    assert f"`--user {owner.st_uid}:{owner.st_gid}`" in told


def test_a_folder_that_can_be_written_needs_no_word(tmp_path: Path) -> None:
    assert lacks.not_writable(tmp_path / "runs") == ""


@pytest.mark.usefixtures("nothing_writable")
def test_a_folder_that_is_mounted_for_reading_can_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert "results can be read" in lacks.not_writable(tmp_path / "runs")


@pytest.mark.usefixtures("nothing_writable")
def test_caches_that_cannot_be_written_go_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path))
    changed, told = lacks.other_caches({"HOME": "/cache", "HF_HOME": "/cache/huggingface"})
    assert changed == {"HOME": f"{tmp_path}/home", "HF_HOME": f"{tmp_path}/hf_home"}
    assert "/cache cannot be written" in told
    assert "-v headwater-cache:/cache" in told


@pytest.mark.usefixtures("nothing_writable")
def test_where_nothing_at_all_can_be_written_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prefix: str) -> str:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    changed, told = lacks.other_caches({"HOME": "/cache"})
    assert changed == {}
    assert "--tmpfs /tmp" in told


def test_caches_that_can_be_written_stay(tmp_path: Path) -> None:
    assert lacks.other_caches({"HOME": str(tmp_path), "HF_HOME": f"{tmp_path}/a/b"}) == ({}, "")
