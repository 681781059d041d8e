"""Losses of two runs are put beside each other, and it is told where they are of other tokens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contract.run.run_dir import RunDir
from tests.small_runs import as_written, prepare_run
from tui.readers.comparison import LOSSES, Figure, cautions


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return prepare_run(tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture
def runs(prepared: RunDir, tmp_path: Path) -> tuple[RunDir, RunDir]:
    """A run, and one that is equal in all."""
    shutil.copytree(prepared.root, tmp_path / "second")
    return prepared, RunDir(tmp_path / "second")


def test_nothing_is_told_of_runs_on_the_same_tokens(runs: tuple[RunDir, RunDir]) -> None:
    assert cautions(runs) == []


def test_other_held_out_documents_are_told(runs: tuple[RunDir, RunDir]) -> None:
    table = pq.read_table(runs[1].validation)
    pq.write_table(table.slice(3), runs[1].validation)
    as_written(runs[1], "prepare")
    assert cautions(runs) == ["the held-out documents differ: 8 and 5, 5 of them in all runs"]


def test_another_tokenizer_is_told(runs: tuple[RunDir, RunDir]) -> None:
    file = runs[1].tokenizer / "tokenizer.json"
    file.write_text(file.read_text() + "\n")
    (told,) = cautions(runs)
    assert told.startswith("the tokenizers differ")


def test_nothing_is_told_of_a_run_that_is_not_prepared(prepared: RunDir, tmp_path: Path) -> None:
    assert cautions((prepared, RunDir(tmp_path / "new"))) == []


def test_a_figure_has_its_thousands_apart() -> None:
    assert Figure(LOSSES, 32_145.6).told == "32,146"
    assert Figure(LOSSES, 1.0641).told == "1.064"
