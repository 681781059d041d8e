"""The measurement of large runs, tried on tiny ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import load

OPENED = {
    "examples": ("influence", "example"),
    "prompts": ("influence", "evaluation", "questions", "report", "prompts", "settings"),
    "runs": ("palette", "help", "a run"),
    "events": ("metric", "the log"),
}
"""Keys that must have painted something for the measurement to mean anything."""


@pytest.mark.parametrize("name", load.AXES)
async def test_every_screen_of_an_axis_is_come_to(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "FIRST_S", 0.05)
    monkeypatch.setattr(load, "STILL_S", 0.05)
    monkeypatch.setattr(load, "REST_S", 0.1)
    axis = load.AXES[name]
    axis.make(tmp_path, 20)
    found = await load.screens(tmp_path, axis)
    assert {line for line in OPENED[name] if found[line].seconds == 0} == set()
    assert found[load.OPENING].megabytes > 0


def test_a_verb_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    load.AXES["runs"].make(tmp_path, 2)
    figure = load.called(tmp_path, ("status", "run-00000"))
    assert figure.seconds > 0
    assert 10 < figure.megabytes < 1000


def test_what_grows_faster_than_its_input_is_told() -> None:
    figures = [load.Figure(seconds, 50.0) for seconds in (0.3, 0.4, 10.3)]
    assert load.told("status", False, figures).endswith("growth")
    figures = [load.Figure(seconds, 50.0) for seconds in (0.3, 0.4, 1.4)]
    assert load.told("status", False, figures).rstrip().endswith("MB")
    figures[-1] = load.Figure(1.4, 50.0, screen=0.2)
    assert load.told("influence", True, figures).endswith("slow")
