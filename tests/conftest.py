"""Before anything imports torch: waiting threads sleep, as they do in the stages; and no test
meets the runs, the keys or the colours of whoever starts the tests.

The runs here are built once a session. What builds them is imported with the first of them: most
tests of the dashboard need no torch.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from pipeline.contract.run.run_dir import RunDir
from tests.shared import built_once

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # files are tested at the same time
os.environ.pop("HEADWATER_RUNS", None)
if "PYTEST_XDIST_WORKER" not in os.environ:  # the workers get it from the process that starts them
    _person = tempfile.mkdtemp(prefix="headwater-tests-")
    atexit.register(shutil.rmtree, _person, ignore_errors=True)
    os.environ["XDG_CONFIG_HOME"], os.environ["XDG_STATE_HOME"] = _person, _person


@pytest.fixture(scope="session")
def scored_run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through the scores stage; to be copied, not written into."""

    def build(root: Path) -> None:
        from pipeline.stages import factors, scores, train
        from tests.small_runs import prepare_run, run_here

        run_here(prepare_run(root, train={"epochs": 6.0}), train, factors, scores)

    return RunDir(built_once(tmp_path_factory, "scored", build))


@pytest.fixture(scope="session")
def indexed_run(scored_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through the index stage; to be copied, not written into."""

    def build(root: Path) -> None:
        from pipeline.stages import index
        from tests.small_runs import run_here

        shutil.copytree(scored_run.root, root, dirs_exist_ok=True)
        run_here(RunDir(root), index)

    return RunDir(built_once(tmp_path_factory, "indexed", build))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through every stage; to be read only."""

    def build(root: Path) -> None:
        from tests.small_runs import finish_run

        finish_run(root)

    return RunDir(built_once(tmp_path_factory, "finished", build))
