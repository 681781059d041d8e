"""The corpus as it lies on disk: rows, their order, the split, and where a text was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.results.common import write_table
from pipeline.contract.results.examples import (
    NO_GROUP,
    CorpusSummary,
    ExampleRow,
    iterate_contents,
    read_corpus_summary,
    read_document_ids,
    read_example_ids,
    read_examples,
    read_origins,
    read_texts,
    read_tokens,
    source_label,
    split_examples,
    write_corpus_summary,
    write_examples,
)
from pipeline.contract.run.run_dir import RunDir

SUMMARY = CorpusSummary(
    source="demo",
    documents_read=4,
    empty=1,
    unreadable=0,
    documents=3,
    chunked_documents=0,
    examples=2,
    validation_examples=1,
    tokens=9,
    duplicate_groups=0,
    duplicates=0,
    vocab_size=300,
)


def row(number: int, tokens: Sequence[int] = (1, 2)) -> ExampleRow:
    return ExampleRow(
        example_id=f"d{number}",
        document_id=f"d{number}",
        chunk=0,
        chunks=1,
        text=f"text {number}",
        tokens=tokens,
        n_tokens=len(tokens),
        duplicate_group=NO_GROUP,
        source="books.jsonl",
        row=number,
    )


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "demo")


def test_examples_come_back_in_their_order(run: RunDir) -> None:
    rows = [row(number, tokens=range(1, number + 2)) for number in range(1200)]
    write_examples(run.examples, iter(rows))
    assert read_example_ids(run) == read_document_ids(run) == [f"d{n}" for n in range(1200)]
    assert read_texts(run)[-1] == "text 1199"
    assert [tokens.tolist() for tokens in read_tokens(run)[:2]] == [[1], [1, 2]]
    assert sum(map(len, iterate_contents(run, run.examples))) == 1200
    assert ExampleRow(**read_examples(run).slice(7, 1).to_pylist()[0]) == ExampleRow(
        **{**vars(rows[7]), "tokens": list(rows[7].tokens)}
    )


def test_each_example_goes_with_its_group_to_one_of_two_files(run: RunDir, tmp_path: Path) -> None:
    write_examples(tmp_path / "chunks.parquet", map(row, range(4)))
    groups = [5, NO_GROUP, 5, 6]
    split_examples(tmp_path / "chunks.parquet", groups, {"d1", "d3"}, run.examples, run.validation)
    found = {
        name: group
        for path in (run.examples, run.validation)
        for name, group in zip(
            read_example_ids(run, path),
            read_examples(run, path)["duplicate_group"].to_pylist(),
            strict=True,
        )
    }
    assert found == {"d0": 5, "d2": 5, "d1": NO_GROUP, "d3": 6}
    assert read_example_ids(run, run.validation) == ["d1", "d3"]


def test_marked_origins_keep_everything_but_the_ids(run: RunDir) -> None:
    path = run.added("texts") / "examples.parquet"
    write_examples(path, [row(3)])
    (found,) = read_origins(run, path, "+").to_pylist()
    (plain,) = read_origins(run, path).to_pylist()
    assert found == {**plain, "example_id": "+d3", "document_id": "+d3"}


def test_examples_that_are_gone_or_no_examples_say_which_stage_writes_them(run: RunDir) -> None:
    with pytest.raises(MissingResultError, match=r"prepare/examples\.parquet is gone") as missing:
        read_texts(run)
    assert "headwater run prepare --force" in missing.value.hint
    path = run.added("texts") / "examples.parquet"
    write_table(path, pa.table({"example_id": ["a"]}))
    with pytest.raises(DamagedResultError, match="no column document_id") as damaged:
        read_texts(run, path)
    assert "headwater run index --force" in damaged.value.hint


def test_the_corpus_in_figures_is_told_in_words(run: RunDir) -> None:
    write_corpus_summary(run, SUMMARY)
    assert read_corpus_summary(run) == SUMMARY
    told = dict(SUMMARY.rows())
    assert (told["source"], told["documents read"], told["vocab size"]) == ("demo", 4, 300)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("/home/someone/with/folders/one/below/another/books.jsonl", "books.jsonl row 12"),
        ("Skylion007/openwebtext", "openwebtext row 12"),
        ("demo", "demo row 12"),
    ],
)
def test_a_source_is_told_by_its_end(source: str, told: str) -> None:
    assert source_label(source, 12) == told
