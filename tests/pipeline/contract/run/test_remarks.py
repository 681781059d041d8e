"""A person's tags and note on a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.errors import DamagedResultError, UsageError
from pipeline.contract.run.archive import archive, restore
from pipeline.contract.run.new_run import clone_run
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.remarks import (
    LONGEST_NOTE,
    LONGEST_TAG,
    MOST_TAGS,
    Remarks,
    read_remarks,
    split_tags,
    write_remarks,
)
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run

WRITTEN = Remarks(("baseline", "ärmel"), "the first that [b]learns[/b] all facts")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return sample_run.new_run(tmp_path, "one")


def test_a_run_has_none_until_somebody_writes_some(run: RunDir) -> None:
    assert read_remarks(run) == Remarks()
    write_remarks(run, WRITTEN)
    assert read_remarks(run) == WRITTEN
    assert [path.name for path in run.root.iterdir() if path.name.startswith(".")] == []


def test_a_tag_is_kept_once_and_a_note_on_one_line(run: RunDir) -> None:
    write_remarks(run, Remarks(("b", "A", "a", "B"), "  two\n lines\t"))
    assert read_remarks(run) == Remarks(("b", "A"), "two lines")


@pytest.mark.parametrize(
    "wrong",
    [
        Remarks(("two words",)),
        Remarks(("",)),
        Remarks(('quo"ted',)),
        Remarks(("with\x1bescape",)),
        Remarks(("x" * (LONGEST_TAG + 1),)),
        Remarks(tuple(f"tag{n}" for n in range(MOST_TAGS + 1))),
        Remarks((), "x" * (LONGEST_NOTE + 1)),
    ],
)
def test_what_cannot_be_kept_is_refused_and_the_old_stays(run: RunDir, wrong: Remarks) -> None:
    write_remarks(run, WRITTEN)
    with pytest.raises(UsageError):
        write_remarks(run, wrong)
    assert read_remarks(run) == WRITTEN


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"tags": []}',
        b'{"tags": 3, "note": ""}',
        b'{"tags": [3], "note": ""}',
        b'{"tags": ["a b"], "note": ""}',
        b'{"tags": [], "note": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_file_that_holds_something_else_is_named(run: RunDir, content: bytes) -> None:
    run.remarks.write_bytes(content)
    with pytest.raises(DamagedResultError, match=r"remarks\.json of run one"):
        read_remarks(run)


def test_they_can_be_written_while_a_stage_works(run: RunDir) -> None:
    acquire_lock(run)
    write_remarks(run, WRITTEN)
    assert read_remarks(run) == WRITTEN


def test_a_clone_has_the_tags_and_not_the_note(run: RunDir) -> None:
    write_remarks(run, WRITTEN)
    clone = RunDir(run.root.with_name("two"))
    clone_run(run, clone)
    assert read_remarks(clone) == Remarks(WRITTEN.tags)


def test_they_go_into_the_archive_with_their_run(run: RunDir) -> None:
    write_remarks(run, WRITTEN)
    away = archive(run)
    assert read_remarks(away) == WRITTEN
    assert read_remarks(restore(away)) == WRITTEN


def test_tags_are_written_between_blanks_or_commas() -> None:
    assert split_tags(" a, b,c  d,, ") == ("a", "b", "c", "d")
    assert split_tags("") == ()
