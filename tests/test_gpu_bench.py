"""The measurement on a GPU, tried at its smallest share on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import gpu
from bench.on_gpu.sections import NAMES


def measured(out: Path, *further: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and what the file has."""
    code = gpu.main([f"--out={out}", "--device=cpu", "--share=0.001", *further])
    return code, json.loads(out.read_text())


def test_what_is_measured_is_kept_and_not_measured_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    code, found = measured(out, "--section", "panels", "tinyllama-eigen")
    assert code == 0
    assert list(found["by_section"]) == ["panels", "tinyllama-eigendecomposition"]
    assert (found["device"], found["share"]) == ("cpu", 0.001)
    panels, eigen = found["by_section"].values()
    assert panels["state"] == "skipped"
    assert "GPU" in panels["why"]
    assert eigen["state"] == "done"
    assert eigen["figures"]["matrices"] == 6  # two of each MLP module of a layer
    assert eigen["figures"]["clock"] > 0
    assert "done" in capfd.readouterr().out

    written = out.stat().st_mtime_ns
    assert measured(out, "--section", "panels", "tinyllama-eigen") == (0, found)
    assert out.stat().st_mtime_ns == written
    assert capfd.readouterr().out == ""


def test_a_section_is_stopped_when_its_time_is_over(tmp_path: Path) -> None:
    code, found = measured(tmp_path / "result.json", "--section=training", "--seconds=0.01")
    assert code == 1
    assert found["by_section"]["training"]["state"] == "out of time"


def test_other_work_is_not_mixed_into_a_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    measured(out, "--section=panels")
    assert gpu.main([f"--out={out}", "--device=cpu", "--share=0.5", "--section=panels"]) == 2
    assert "share 0.001, not of cpu, 0.5" in capfd.readouterr().err


def test_an_unknown_section_is_answered_by_the_names_of_all(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main([f"--out={tmp_path / 'result.json'}", "--section=tranining"]) == 2
    told = capfd.readouterr().err
    assert "--section tranining: there is none" in told
    assert all(name in told for name in NAMES)
