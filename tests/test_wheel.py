"""The wheel holds all that the installed program needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests.shared import built_once

ROOT = Path(__file__).parents[1]
PACKAGES = ("headwater", "pipeline", "tui")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout by the backend that pyproject.toml names."""

    def build(folder: Path) -> None:
        options = ("-t", "wheel", "-d", str(folder))
        run_or_tell(sys.executable, "-m", "hatchling", "build", *options, cwd=ROOT)

    [file] = built_once(tmp_path_factory, "wheel", build).glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed and nothing else: dependencies are those of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    run_or_tell(
        *("uv", "pip", "install", "--offline", "--no-deps", "--python", sys.executable),
        *("--target", str(folder), str(wheel)),
        cwd=folder,
    )
    return folder


def run_or_tell(*command: str, cwd: Path, **environment: str) -> str:
    """What a command prints; one that fails tells why."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_installed(folder: Path, *arguments: str) -> str:
    """What Python prints that meets the installed packages before the checkout's."""
    return run_or_tell(sys.executable, "-P", *arguments, cwd=folder, PYTHONPATH=str(folder))


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.*"))
    kept = [path.relative_to(ROOT) for path in files if path.parent.name != "__pycache__"]
    assert {path.suffix for path in kept} == {".py", ".typed", ".j2", ".css", ".tcss", ".html"}
    with zipfile.ZipFile(wheel) as file:
        assert not {path.as_posix() for path in kept} - set(file.namelist())


def test_the_wheel_holds_these_packages_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        folders = {name.partition("/")[0] for name in file.namelist()}
    assert {name for name in folders if not name.endswith(".dist-info")} == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_from_where_it_is_installed(installed: Path, package: str) -> None:
    told = run_installed(installed, "-c", f"import {package}; print({package}.__file__)")
    assert Path(told.strip()) == installed / package / "__init__.py"


def test_the_installed_command_says_its_version(installed: Path) -> None:
    told = run_installed(installed, "bin/headwater", "--version")
    assert told.split()[-1] == metadata.version("headwater")


def test_the_installed_command_examines_its_machine(installed: Path) -> None:
    findings = json.loads(run_installed(installed, "bin/headwater", "doctor", "--json"))
    levels = {finding["name"]: finding["level"] for finding in findings}
    assert levels["python"] == levels["packages"] == "ok"
