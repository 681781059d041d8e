"""Errors that one process hands to another."""

from __future__ import annotations

import json

import pytest

from pipeline.contract.errors import (
    CancelledError,
    DataError,
    HeadwaterError,
    ResourceError,
    SettingsError,
    error_of,
)


@pytest.mark.parametrize(
    "error",
    [HeadwaterError("a", "b"), DataError("a"), SettingsError("a", "b"), ResourceError("a"),
     CancelledError("a")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_words_and_exit_code_come_through(error: HeadwaterError) -> None:
    found = error_of(json.loads(json.dumps(error.record())))
    assert str(found) == str(error)
    assert found.exit_code == error.exit_code
