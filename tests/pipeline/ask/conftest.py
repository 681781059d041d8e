"""A run that is scored and indexed."""

from __future__ import annotations

import shutil

import pytest

from pipeline.contract.run.run_dir import RunDir
from pipeline.stages import index
from tests.small_runs import run_here


@pytest.fixture(scope="session")
def indexed_run(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through the index stage; to be copied, not written into."""
    run = RunDir(shutil.copytree(scored_run.root, tmp_path_factory.mktemp("indexed") / "run"))
    run_here(run, index)
    return run
