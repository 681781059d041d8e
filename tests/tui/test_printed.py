"""What verbs print: a terminal obeys nothing of it, and a file gets the data whole."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import tomlkit
from click.testing import CliRunner, Result

from pipeline.contract.files import write_csv, write_text
from pipeline.contract.results.rankings import write_rankings
from pipeline.contract.results.spectra import LayerFiles, read_summary
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.remarks import Remarks, write_remarks
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_factors, sample_run
from tui.cli import main

HOSTILE = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202egnp\u200b\x7f\U000e0041"
FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
VERBS = (
    ("runs",),
    ("runs", "--json"),
    ("runs", "--filter", HOSTILE),
    ("runs", "--filter", f"{HOSTILE}:1"),
    ("tag", "odd", HOSTILE),
    ("note", "odd"),
    ("status", "odd"),
    ("status", "odd", "--json"),
    ("logs", "odd"),
    ("inspect", "odd"),
    ("rank", "odd"),
    ("rank", "odd", "--csv"),
    ("rank", "odd", "--json"),
    ("rank", "odd", "--prompt", HOSTILE),
    ("rank", "odd", "--method", HOSTILE),
    ("questions", "odd"),
    ("questions", "odd", "--json"),
    ("compare", "odd", "two"),
    ("compare", "odd", "two", "--json"),
    ("status", HOSTILE),
)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs with every text hostile that a file of theirs can hold."""
    folder = tmp_path / "runs"
    for name in ("odd", "two"):
        write_hostile(sample_run.scored_run(folder, name, HOSTILE))
    settings = RunDir(folder / "two").settings
    escaped = tomlkit.item(HOSTILE).as_string()
    settings.write_text(settings.read_text().replace('path = ""', f"path = {escaped}"))
    return folder


def write_hostile(run: RunDir) -> None:
    sample_run.finish(run, "benchmark", "evaluate", "validate")  # this empties their folders
    write_remarks(run, Remarks((), HOSTILE))
    events = EventWriter(run.events, "report")
    events.started(1)
    events.warning(HOSTILE)
    events.failed(HOSTILE, HOSTILE)
    run.done("report").unlink()
    run.log("prepare").write_text(HOSTILE + "\n")
    sample_factors.write_spectra(run, HOSTILE)
    for layer in read_summary(run).layers:
        write_text(LayerFiles.of(run, layer).analysis, HOSTILE)
    sample_evaluation.write_evaluation(run, HOSTILE)
    sample_evaluation.write_benchmarks(run, HOSTILE)
    sample_evaluation.write_validation(run, HOSTILE)
    text, whole = pa.array([HOSTILE]), pa.array([1], pa.int32())
    columns: list[pa.Array] = [
        *(text, pa.array(["ekfac_normalized"]), pa.array(["top"]), whole),
        *(pa.array([3.0], pa.float32()), text, text, whole, whole, text, whole, whole, text),
        *(pa.array([11], pa.int64()), pa.array([True])),
    ]
    scores = {"ekfac_normalized": pa.array([3.0], pa.float32())}
    write_rankings(run, "scores", columns, scores)


def at_terminal(monkeypatch: pytest.MonkeyPatch, runs: Path, *verb: str) -> Result:
    """Runs a verb as if its output were a terminal's, which Click leaves as it is."""
    monkeypatch.setattr("tui.printed.output.at_terminal", lambda: True)
    return CliRunner().invoke(main, ["--runs", str(runs), *verb], color=True)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: re.sub(r"[^\w-]+", " ", " ".join(verb)))
def test_a_terminal_gets_nothing_to_obey(
    monkeypatch: pytest.MonkeyPatch, runs: Path, verb: tuple[str, ...]
) -> None:
    ended = at_terminal(monkeypatch, runs, *verb)
    assert isinstance(ended.exception, SystemExit | None), ended.exception
    assert ended.output.strip()
    assert not (found := FORBIDDEN.findall(ended.output)), (found, ended.output[:500])


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_a_file_gets_the_texts_as_they_are(runs: Path, form: str) -> None:
    printed = CliRunner().invoke(main, ["--runs", str(runs), "rank", "odd", form]).output
    rows = json.loads(printed) if form == "--json" else list(csv.DictReader(io.StringIO(printed)))
    assert any(HOSTILE in row["text"] for row in rows)


def test_a_page_at_a_real_terminal_holds_only_the_colours_that_are_ours(runs: Path) -> None:
    run = RunDir(runs / "odd")
    sample_evaluation.write_report(run, HOSTILE)
    sample_run.finish(run, "report")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tui", "--runs", str(runs), "rank", "odd"]
    ended = subprocess.Popen(command, stdout=slave, stderr=slave, stdin=slave)
    os.close(slave)
    written = b""
    while True:
        try:
            written += os.read(master, 1 << 16)
        except OSError:  # the other end is closed
            break
    assert ended.wait() == 0
    assert b"\x1b]52" not in written
    assert b"\x1b[2J" not in written
    assert "␛[2J␛]52" in written.decode()


def test_a_cell_that_a_spreadsheet_would_compute_is_text() -> None:
    out = io.StringIO()
    cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "plain", -1.5, 3]
    write_csv(out, ["cell"], [{"cell": cell} for cell in cells])
    read = [row["cell"] for row in csv.DictReader(io.StringIO(out.getvalue(), newline=""))]
    assert read[:6] == [f"'{cell}" for cell in cells[:6]]
    assert read[6:] == ["plain", "-1.5", "3"]
