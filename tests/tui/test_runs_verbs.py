"""The verbs of the list of runs: runs, tag, note."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.tui import sample_run
from tui.cli import main


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A run whose training has finished, and one in which nothing has happened."""
    sample_run.new_run(tmp_path, "letters")
    sample_run.scored_run(tmp_path, "books")
    return tmp_path


def headwater(runs: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--runs", str(runs), *arguments])


def test_runs_lists_what_they_are_of_and_what_a_person_said_of_them(runs: Path) -> None:
    assert headwater(runs, "tag", "books", "best,final", "Best").output == "best\nfinal\n"
    assert headwater(runs, "note", "books", "the one in the paper").exit_code == 0
    header, first, second = headwater(runs, "runs").stdout.splitlines()
    assert header.split() == ["run", "stage", "state", "model", "data", "tags", "note", "hours"]
    assert first.split()[0] == "books"  # something happened in it last
    assert "best final  the one in the paper" in first
    assert second.split()[:5] == ["letters", "prepare", "waiting", "nano", "demo"]
    told = json.loads(headwater(runs, "runs", "--json").stdout)
    assert told[0]["tags"] == ["best", "final"]
    assert told[0]["val_loss"] is None  # no summary of the training: missing, not made up


def test_runs_are_filtered_as_on_the_screen(runs: Path) -> None:
    headwater(runs, "tag", "books", "best")
    assert [row["run"] for row in filtered(runs, "tag:best -state:failed")] == ["books"]
    assert [row["run"] for row in filtered(runs, "-tag:best")] == ["letters"]
    wrong = headwater(runs, "runs", "--filter", "lost<3")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "there is no field 'lost'; fields: run, state" in wrong.stderr


def filtered(runs: Path, terms: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(
        headwater(runs, "runs", "--filter", terms, "--json").stdout
    )
    return found


def test_tags_and_notes_are_told_and_taken_away(runs: Path) -> None:
    assert headwater(runs, "tag", "books").output == ""
    headwater(runs, "tag", "books", "a", "b")
    assert headwater(runs, "tag", "books", "--remove", "A").output == "b\n"
    absent = headwater(runs, "tag", "books", "--remove", "a")
    assert absent.exit_code == 2
    assert "run books has no tag 'a'" in absent.stderr
    assert "its tags: b" in absent.stderr
    headwater(runs, "note", "books", " two\nlines ")
    assert headwater(runs, "note", "books").output == "two lines\n"
    headwater(runs, "note", "books", "")
    assert headwater(runs, "note", "books").output == ""
    assert headwater(runs, "tag", "books").output == "b\n"
    refused = headwater(runs, "tag", "books", "x" * 41)
    assert refused.exit_code == 2
    assert "at most 40 characters" in refused.stderr
