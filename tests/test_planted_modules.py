"""Whatever lies in the current folder, nothing that Headwater starts imports it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.run.run_dir import RunDir
from tests.tui.serving import seeing, served, visiting

HEADWATER = str(Path(sysconfig.get_path("scripts")) / "headwater")
PLANTED = ("pipeline", "tui", "headwater", "textual", "torch", "numpy", "tomli", "json", "secrets")
CODE = """
from pathlib import Path
with Path({told!r}).open("a") as file:
    file.write(__name__ + " ")
raise SystemExit("planted")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with modules that are called as ours, as libraries and as Python's own."""
    folder = tmp_path / "folder"
    for name in PLANTED:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(CODE.format(told=str(tmp_path / "imported")))
    return folder


@pytest.fixture
def run(folder: Path, indexed_run: RunDir) -> RunDir:
    """A run in it, up to the index."""
    shutil.copytree(indexed_run.root, folder / "runs/one")
    return RunDir(folder / "runs/one")


def imported(folder: Path) -> list[str]:
    told = folder.parent / "imported"
    return told.read_text().split() if told.exists() else []


def headwater(folder: Path, *arguments: str) -> str:
    """What the installed program prints that is started in the folder."""
    done = subprocess.run(
        [HEADWATER, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert imported(folder) == []
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_doctor_examines_the_installed_libraries(folder: Path) -> None:
    levels = {
        one["name"]: one["level"] for one in json.loads(headwater(folder, "doctor", "--json"))
    }
    assert levels["torch"] != "fail"


def test_a_stage_and_its_supervisor_run_the_installed_program(folder: Path, run: RunDir) -> None:
    headwater(folder, "run", "inspect", "--run", run.name)
    assert run.done("inspect").exists()


def test_a_worker_that_answers_runs_the_installed_program(folder: Path, run: RunDir) -> None:
    headwater(folder, "ask", run.name, "The river runs", "--completion", " past the mill")


async def test_a_session_in_a_browser_runs_the_installed_program(folder: Path, run: RunDir) -> None:
    with served(Path("runs"), program=[HEADWATER], cwd=folder) as address:
        async with visiting(address) as visitor, seeing(visitor, run.name.encode()):
            assert imported(folder) == []


def test_a_models_code_meets_no_module_of_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.evaluation.sandbox import Task, passes

    monkeypatch.chdir(folder)
    test = "def check(f): assert f('1') == 1"
    assert passes(Task("from json import loads as f", "f", test))
    assert not passes(Task("import torch; from json import loads as f", "f", test))
    assert imported(folder) == []


def test_what_a_library_starts_in_a_child_is_safe_too(folder: Path) -> None:
    start = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import json'], check=True)"
    )
    subprocess.run(python_command("-c", start), env=child_environment(), cwd=folder, check=True)
    assert imported(folder) == []


def test_what_a_person_names_in_pythonpath_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "lib").mkdir()
    (folder / "lib/own.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(folder / "lib"))
    subprocess.run(python_command("-c", "import own"), env=child_environment(), check=True)
