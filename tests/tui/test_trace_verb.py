"""`headwater trace`: what of a text stands in the training data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.results.examples import read_example_ids, read_texts
from pipeline.contract.run.run_dir import RunDir
from tests.small_runs import prepare_run
from tui.cli import main


def trace(folder: Path, *arguments: str, text: bytes | None = None) -> Result:
    return CliRunner().invoke(
        main, ["--runs", str(folder), "trace", "mine", *arguments], input=text
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return prepare_run(tmp_path_factory.mktemp("runs") / "mine")


def test_a_planted_copy_is_found_with_its_example_whatever_its_case(run: RunDir) -> None:
    planted, name = read_texts(run)[3], read_example_ids(run)[3]
    exact = json.loads(trace(run.root.parent, planted, "--json").stdout)
    assert exact["covered"] == exact["tokens"]
    assert name in {place["example_id"] for place in exact["spans"][0]["places"]}
    loud = json.loads(trace(run.root.parent, "-", "--json", text=planted.upper().encode()).stdout)
    assert loud["folded"][0]["text"] == planted.upper()
    assert loud["folded"][0]["copied"]


def test_words_in_another_order_are_no_copy(run: RunDir) -> None:
    words = read_texts(run)[3].split()
    found = json.loads(trace(run.root.parent, " zq ".join(reversed(words)), "--json").stdout)
    assert not any(span["copied"] for span in found["folded"])
    assert found["covered"] < found["tokens"]


@pytest.mark.parametrize("fault", ["corpus", "damaged", "record"])
def test_an_index_that_does_not_fit_is_made_anew_and_says_why(tmp_path: Path, fault: str) -> None:
    mine = prepare_run(tmp_path / "mine")
    planted = read_texts(mine)[0]
    assert "there was no span index" in trace(tmp_path, planted).stderr
    assert "span index" not in trace(tmp_path, planted).stderr
    folder = mine.verbatim(mine.examples)
    if fault == "corpus":
        record = json.loads((folder / "index.json").read_text())
        record["corpus"]["whole"] = "0"
        (folder / "index.json").write_text(json.dumps(record))
    elif fault == "damaged":
        (folder / "tokens_suffixes.npy").write_bytes(b"x" * 300)
    else:
        (folder / "index.json").write_text("[")
    again = trace(tmp_path, planted)
    said = {"corpus": "another corpus", "damaged": "was damaged", "record": "no span index"}
    assert said[fault] in again.stderr
    assert again.exit_code == 0


def test_what_cannot_be_traced_is_said_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "settings.toml").touch()
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9")
    for text, said in (
        (" ", "the text is empty"),
        (str(tmp_path), "is a folder"),
        (str(latin), "not UTF-8"),
        ("words", "prepare stage has not finished"),
    ):
        refused = trace(tmp_path, text)
        assert refused.exit_code
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
