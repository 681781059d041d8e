"""A run's folder is made whole, on any machine, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pynvml
import pytest

from pipeline.contract.errors import ResourceError, UsageError
from pipeline.contract.files import read_json, write_json
from pipeline.contract.run import new_run
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir

CPU = '[run]\ndevice = "cpu"\n[data]\nsource = "demo"\n'
AUTO = CPU.replace('"cpu"', '"auto"')


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "runs" / "new")


def made(run: RunDir, text: str) -> Any:
    write_run(run, text, run.root.parent / "settings.toml")
    return read_json(run.manifest)


def test_a_run_on_the_cpu_asks_no_driver(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> None:
        raise AssertionError("the driver was asked")

    monkeypatch.setattr(pynvml, "nvmlInit", asked)
    assert made(run, CPU)["gpus"] == []


def test_a_lost_gpu_is_noted_and_stops_nothing(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handle(index: int) -> int:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    def unsupported(*_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name in dir(pynvml):
        if name.startswith("nvmlDeviceGet"):
            monkeypatch.setattr(pynvml, name, unsupported)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 2)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", handle)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetName", lambda _handle: "NVIDIA H100")
    first, second = made(run, AUTO)["gpus"]
    assert first == "NVIDIA H100"
    assert "fell off the bus" in second


def test_a_new_run_that_cannot_be_made_leaves_no_folder(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(new_run, "write_json", full)
    with pytest.raises(ResourceError, match="disk full"):
        made(run, CPU)
    assert not run.root.exists()
    monkeypatch.setattr(new_run, "write_json", write_json)
    made(run, CPU)
    monkeypatch.setattr(new_run, "write_json", full)
    with pytest.raises(ResourceError):
        made(run, CPU)
    assert run.settings.exists(), "one that was there stays"


def test_no_run_is_made_where_none_can_be_locked(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(UsageError, match="has no file locks"):
        made(run, CPU)
    assert not run.root.exists()
