"""A run that is finished as far as the package reads it."""

from __future__ import annotations

import pytest

from pipeline.contract.run.run_dir import RunDir
from tests.small_runs import prepare_run, run_here


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A tiny run through scores, inspect and index; to be read only."""
    from pipeline.stages import factors, index, inspect, scores, train

    run = prepare_run(tmp_path_factory.mktemp("finished") / "run")
    run_here(run, train, factors, scores, inspect, index)
    return run
