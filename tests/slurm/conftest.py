"""A cluster for the tests that submit to one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cluster import cluster, why_not


@pytest.fixture(scope="session")
def slurm() -> Iterator[dict[str, str]]:
    """A cluster of one node; its commands find it by the variables that this gives."""
    if reason := why_not():
        pytest.skip(reason)
    with cluster() as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables
