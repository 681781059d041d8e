"""`headwater trace`: what of a text stands in the training data."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from pipeline.contract.results.examples import read_example_ids, read_texts
from tests.small_runs import prepare_run
from tui.cli import main


def trace(folder: Path, *arguments: str, text: bytes | None = None) -> Result:
    return CliRunner().invoke(
        main, ["--runs", str(folder), "trace", "mine", *arguments], input=text
    )


def test_a_planted_copy_is_found_with_its_example_whatever_its_case(tmp_path: Path) -> None:
    run = prepare_run(tmp_path / "mine")
    texts, ids = read_texts(run), read_example_ids(run)
    both = trace(tmp_path, "-", "--json", text=f"{texts[3]} zq {texts[5].upper()}".encode())
    found = json.loads(both.stdout)
    exact = max(found["spans"], key=lambda span: span["end"] - span["start"])
    assert exact["copied"]
    assert ids[3] in {place["example_id"] for place in exact["places"]}
    loud = [span for span in found["folded"] if span["text"] == texts[5].upper()]
    assert [span["copied"] for span in loud] == [True]
    assert ids[5] in {place["example_id"] for place in loud[0]["places"]}
    assert "there was no span index: 48 examples indexed" in both.stderr


def test_a_file_is_traced_and_its_copies_printed(tmp_path: Path) -> None:
    run = prepare_run(tmp_path / "mine")
    file = tmp_path / "words.txt"
    file.write_text(read_texts(run)[3])
    printed = trace(tmp_path, str(file))
    assert read_texts(run)[3][:40] in printed.stdout
    assert read_example_ids(run)[3] in printed.stdout


def test_what_cannot_be_traced_is_said_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "settings.toml").touch()
    latin = tmp_path / "latin.txt"
    latin.write_bytes(b"caf\xe9")
    for text, said in (
        (" ", "the text is empty"),
        (str(tmp_path), "is a folder"),
        (str(latin), "not UTF-8"),
        ("caf\udce9", "the text is not UTF-8"),
        ("words", "prepare stage has not finished"),
    ):
        refused = trace(tmp_path, text)
        assert refused.exit_code
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    assert "stdin is not UTF-8" in trace(tmp_path, "-", text=b"caf\xe9").stderr
