"""A run that is scored and indexed."""

from __future__ import annotations

import shutil

import pytest

from pipeline.contract import stages
from pipeline.contract.events import EventWriter
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import load_settings
from pipeline.stages import index


def index_here(run: RunDir) -> None:
    """As the stage's process would."""
    settings = load_settings(run.settings)
    fingerprint = stages.begin("index", settings, run)
    index.run(settings, run, EventWriter(run.events, "index"))
    stages.finish("index", fingerprint, settings, run, 0.1)


@pytest.fixture(scope="session")
def indexed_run(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through the index stage; to be copied, not written into."""
    run = RunDir(shutil.copytree(scored_run.root, tmp_path_factory.mktemp("indexed") / "run"))
    index_here(run)
    return run
