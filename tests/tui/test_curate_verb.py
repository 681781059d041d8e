"""`headwater curate`: what makes no sense is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.small_scores import finished_run, save_score_file
from tui.cli import main


def curate(runs: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--runs", str(runs), "curate", *words])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--prompt", "a"), "say how much goes or stays"),
        (("--prompt", "a", "--drop", "1", "--keep", "0.5"), "either --drop N or --keep SHARE"),
        (("--drop", "1"), "one of --set NAME, --prompts FILE and --prompt ID"),
        (("--drop", "1", "--prompt", "a", "--set", "b"), "say which prompts"),
        (("--keep", "1.5", "--set", "b"), "1.5 is not in the range"),
        (("--drop", "1", "--set", "b", "--clone", "demo"), "there is a run 'demo' already"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    run = finished_run(tmp_path)
    save_score_file(run)
    out = tmp_path / "out"
    found = curate(tmp_path, "demo", *words, "--out", str(out))
    assert found.exit_code == 2
    assert told in found.output
    assert not out.exists()


def test_any_number_of_prompts_can_be_named(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    save_score_file(run)
    file = tmp_path / "many.jsonl"
    lines = [{"id": f"prompt-{n:06}", "prompt": "The river", "completion": " runs"}
             for n in range(20_000)]  # fmt: skip
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    words = ("--prompts", str(file), "--drop", "1", "--out", str(tmp_path / "out"))
    found = curate(tmp_path, "demo", *words)
    assert found.exit_code == 1
    assert "the scores of run demo are stale" in found.output
