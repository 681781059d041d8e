"""Whatever bytes are in a file or come from a terminal: read, or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS, kept_inputs

CI = settings(
    derandomize=True, database=None, deadline=None, max_examples=250,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
"""The same inputs every time; `scripts/fuzz` tries others, for as long as it is told to."""


@pytest.mark.parametrize("name", [name for name in TARGETS if not TARGETS[name].is_native])
def test_any_bytes_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    CI(given(inputs(name, target))(target.read))()


@pytest.mark.parametrize(("name", "file"), kept_inputs())
def test_what_once_ended_a_target_does_not_any_more(name: str, file: Path) -> None:
    TARGETS[name].read(file.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_the_inputs_begin_with_what_is_read(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].read(seed)
