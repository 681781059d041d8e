"""The walls of the house: who may import whom, and what must never be loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "datasets", "pandas", "matplotlib", "pyarrow", "kronfluence")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str) -> list[tuple[Path, str]]:
    return [(file, name) for file in (ROOT / package).rglob("*.py") for name in imports(file)]


def test_the_pipeline_knows_no_screen() -> None:
    wrong = [(f, n) for f, n in importers("pipeline") if n.split(".")[0] in ("tui", "textual")]
    assert not wrong


def test_the_screen_meets_the_pipeline_in_the_contract_only() -> None:
    wrong = [
        (f, n)
        for f, n in importers("tui")
        if n.split(".")[0] == "pipeline" and n.split(".")[1] != "contract"
    ]
    assert not wrong


def test_the_screen_never_imports_torch() -> None:
    assert not [(f, n) for f, n in importers("tui") if n.split(".")[0] in ("torch", "transformers")]


def test_deepeval_is_imported_in_one_room_which_quiets_it_first() -> None:
    room = ROOT / "pipeline/evaluation/benchmarks"
    wrong = [
        (file, name)
        for package in ("pipeline", "tui")
        for file, name in importers(package)
        if name.split(".")[0] == "deepeval" and room not in file.parents
    ]
    assert not wrong


def test_the_supervisor_needs_only_the_standard_library() -> None:
    code = (
        "import sys, pipeline.supervisor as s; "
        "print([m for m in sys.modules if m.split('.')[0] in ('pydantic', 'numpy', 'torch')])"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize(
    "module", ["tui.__main__", "tui.cli", "tui.app", "tui.tables", "pipeline.contract.run.status"]
)
def test_what_a_person_starts_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_stages_are_files_of_their_names() -> None:
    from pipeline.contract.run.stages import STAGES

    files = {file.stem for file in (ROOT / "pipeline/stages").glob("*.py")} - {"__init__"}
    assert files == set(STAGES)


def run_python(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout.strip()
