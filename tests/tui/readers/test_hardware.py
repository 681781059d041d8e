"""The machine is sampled with or without a GPU, with or without a stage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tui.readers.hardware import MachineReader


def test_a_sample_says_what_the_host_and_the_gpus_do() -> None:
    sample = MachineReader().read()
    assert 0 < sample.host.used < sample.host.total
    assert sample.host.stage_rss is None
    assert bool(sample.gpus) != bool(sample.no_gpu)


def test_the_stage_is_sampled_until_it_ends() -> None:
    reader = MachineReader()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert reader.read(process.pid).host.stage_rss
    process.communicate(b"\n")
    assert reader.read(process.pid).host.stage_rss is None
    assert (reader.read(os.getpid()).host.stage_rss or 0) > 1 << 20


def test_the_disk_is_that_of_the_runs(tmp_path: Path) -> None:
    host = MachineReader(folder=tmp_path).read().host
    assert host.disk_used is not None
    assert host.disk_total is not None
    assert 0 < host.disk_used <= host.disk_total
    assert host.load is None or len(host.load) == 3
    assert MachineReader(folder=tmp_path / "none").read().host.disk_total is None
