"""The index in figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.files import write_json
from pipeline.contract.results.index import (
    STAGE,
    IndexSummary,
    load_index_summary,
    read_index_summary,
    write_index_summary,
)
from pipeline.contract.run.run_dir import RunDir


def test_the_figures_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    write_index_summary(run, IndexSummary(features=4096, examples=12, added=2, bytes=98_304))
    assert read_index_summary(run).added == 2
    with pytest.raises(MissingResultError, match="the index stage has not finished"):
        load_index_summary(run)


def test_figures_of_another_shape_are_damaged(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    write_json(run.summary(STAGE), {"features": 4096, "examples": "many"})
    with pytest.raises(DamagedResultError, match="examples"):
        read_index_summary(run)
