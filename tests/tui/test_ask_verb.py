"""`headwater ask`: what it says of an answer beside the examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.results.examples import read_texts
from pipeline.contract.run.replies import AnswerPart, ExampleList, Query, Reply
from pipeline.contract.run.run_dir import RunDir
from tests.small_runs import prepare_run
from tui.cli import main

STRANGE = " zq xv wk"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run whose worker answers as `STRANGE` says, and was taught it."""

    def put(_address: None, _question: Query) -> Iterator[Reply]:
        yield AnswerPart(STRANGE)
        yield ExampleList(exact=True, rows=(), scored=48, examples=48, taught=True)

    monkeypatch.setattr("tui.verbs.asking.narration.bring_up_to_date", lambda *_: None)
    monkeypatch.setattr("tui.verbs.asking.worker", lambda *_: nullcontext())
    monkeypatch.setattr("tui.verbs.asking.put", put)
    return prepare_run(tmp_path / "mine")


def verb(run: RunDir, name: str, *arguments: str) -> Result:
    done = CliRunner().invoke(main, ["--runs", str(run.root.parent), name, run.name, *arguments])
    assert done.exit_code == 0, done.output
    return done


def test_the_word_for_where_an_answer_comes_from_is_told(run: RunDir) -> None:
    text = read_texts(run)[3]
    before = verb(run, "ask", "A word", "--json")
    assert json.loads(before.stdout)["verdict"] == "not known"
    assert "its copies were not looked for; `headwater trace`" in before.stderr
    verb(run, "trace", text)
    taught = verb(run, "ask", "A word", "--json")
    assert json.loads(taught.stdout)["verdict"] == "taught"
    copied = verb(run, "ask", "A word", "--completion", f" {text}", "--json")
    assert json.loads(copied.stdout)["verdict"] == "copied"
    assert (
        "copied: at least half of it stands"
        in verb(run, "ask", "A word", "--completion", f" {text}").stderr
    )
