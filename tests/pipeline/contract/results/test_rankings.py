"""Rows of rankings.parquet: the columns that are published, and those that are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.results.rankings import RankedExample, read_rankings
from tests.small_scores import finished_run, save_ranking_rows

FIRST = RankedExample(
    prompt_id="sea",
    method="ekfac",
    end="top",
    rank=1,
    score=3.0,
    example_id="d1",
    document_id="d1",
    chunk=0,
    chunks=1,
    text="A whale.",
    n_tokens=3,
    duplicate_group=-1,
    source="/far/sea.jsonl",
    row=11,
    relevant=True,
    scores={"ekfac": 3.0, "bm25": None},
)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    save_ranking_rows(run)
    rows = read_rankings(run)
    assert rows[0] == FIRST
    assert rows[0].source_label == "sea.jsonl row 11"
    assert [row.relevant for row in rows] == [True, False, False, None]


def test_the_columns_are_those_that_are_published(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    save_ranking_rows(run)
    names = pq.read_schema(run.rankings).names
    assert names == [
        "prompt_id", "method", "end", "rank", "score", "example_id", "document_id", "chunk",
        "chunks", "text", "n_tokens", "duplicate_group", "source", "row", "relevant",
        "score_ekfac", "score_bm25",
    ]  # fmt: skip
    assert read_rankings(run)[0].record() == pq.read_table(run.rankings).to_pylist()[0]
    assert list(FIRST.record()) == names


def test_rows_are_chosen_by_prompt_method_end_and_rank(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    save_ranking_rows(run)
    assert [r.example_id for r in read_rankings(run, prompt_id="sea", end="top")] == ["d1", "d2"]
    assert [r.prompt_id for r in read_rankings(run, method="ekfac", end="top")] == ["sea", "mill"]
    assert read_rankings(run, last=0) == []
    assert read_rankings(run, prompt_id="river") == []


@pytest.mark.parametrize("without", [("source", "row"), ()])
def test_tables_of_format_1_may_lack_where_an_example_was_read(
    tmp_path: Path, without: tuple[str, ...]
) -> None:
    run = finished_run(tmp_path, written_by=1)
    save_ranking_rows(run, without)
    label = read_rankings(run)[0].source_label
    assert label == ("" if without else "sea.jsonl row 11")


def test_a_table_that_lacks_a_column_is_damaged(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    save_ranking_rows(run, without=("source",))
    with pytest.raises(DamagedResultError, match="there is no column source"):
        read_rankings(run)


def test_a_table_of_the_other_stage_is_missing_under_its_name(tmp_path: Path) -> None:
    with pytest.raises(MissingResultError, match=r"evaluate/rankings\.parquet is gone") as told:
        read_rankings(finished_run(tmp_path), "evaluate")
    assert "headwater run evaluate --force" in told.value.hint


def test_choosing_rows_does_not_load_pandas(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    save_ranking_rows(run)
    code = (
        "import sys; from pathlib import Path; "
        "from pipeline.contract.run.run_dir import RunDir; "
        "from pipeline.contract.results.rankings import read_rankings; "
        f"rows = read_rankings(RunDir(Path({str(run.root)!r})), method='ekfac', last=1); "
        "print(len(rows), 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["3", "False"]
