"""A run is read again and again, whatever state its files are in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from pipeline.contract.files import write_json
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir, list_runs
from tests.tui import sample_run
from tui.readers import runs
from tui.readers.history import RunHistory
from tui.readers.run_reader import RunReader, RunSnapshot
from tui.readers.runs import RunsReader


def test_a_reading_follows_the_stages(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    reader = RunReader(run)
    assert {stage.state for stage in reader.read().stages} == {"waiting"}
    sample_run.finish(run, "prepare")
    sample_run.train_events(run, steps=100, done=0.5)
    snapshot = reader.read()
    assert [stage.state for stage in snapshot.stages[:3]] == ["done", "lost", "waiting"]
    assert (len(snapshot.loss), len(snapshot.validation_loss)) == (50, 5)
    assert snapshot.memory["train"].rss == 640 * sample_run.MEMORY
    assert snapshot.warnings["train"] == ("2 rows were empty and left out",)
    assert snapshot.headline_stage is not None
    assert snapshot.headline_stage.stage == "train"


def test_a_new_attempt_forgets_the_warnings_of_the_one_before(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    sample_run.train_events(run)
    events = EventWriter(run.events, "train")
    events.started(2)
    snapshot = RunReader(run).read()
    assert snapshot.warnings == {}
    assert snapshot.memory == {}


def test_settings_that_do_not_parse_are_told_and_then_read_again(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    good = run.settings.read_text()
    run.settings.write_text("[train]\nepoch = 3\n")
    reader = RunReader(run)
    assert "unknown setting train.epoch" in reader.read().trouble
    run.settings.write_text(good)
    assert reader.read().trouble == ""


@pytest.mark.parametrize("torn", ["", "{}", "[1", '{"fingerprint": 3}'])
def test_a_torn_record_is_told_or_passed_over(tmp_path: Path, torn: str) -> None:
    run = sample_run.new_run(tmp_path)
    sample_run.finish(run, "prepare")
    run.done("prepare").write_text(torn)
    snapshot = RunReader(run).read()
    assert snapshot.trouble or snapshot.stages


def test_a_run_that_is_deleted_is_told(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    reader = RunReader(run)
    reader.read()
    shutil.rmtree(run.root)
    assert "not there any more" in reader.read().trouble


def test_runs_come_and_go(tmp_path: Path) -> None:
    reader = RunsReader(tmp_path / "runs")
    assert reader.read() == []
    run = sample_run.new_run(tmp_path / "runs", "one")
    sample_run.new_run(tmp_path / "runs", "two")
    assert {row.run.name for row in reader.read()} == {"one", "two"}
    shutil.rmtree(run.root)
    assert [row.run.name for row in reader.read()] == ["two"]


def test_many_runs_are_shown_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.readers.runs._LOOK_S", 0.0)
    for name in ("one", "two", "three"):
        sample_run.new_run(tmp_path, name)
    reader = RunsReader(tmp_path)
    assert [(len(reader.read()), reader.unread) for _ in range(3)] == [(1, 2), (2, 1), (3, 0)]


def test_a_run_at_rest_is_read_again_only_when_something_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[str]()
    really = RunReader.read

    def read(self: RunReader) -> RunSnapshot:
        looks.append(self._run.name)
        return really(self)

    monkeypatch.setattr(RunReader, "read", read)
    for name in ("one", "two"):
        sample_run.new_run(tmp_path, name)
    reader = RunsReader(tmp_path)
    reader.read()
    looks.clear()
    reader.read()
    assert looks == []
    EventWriter(RunDir(tmp_path / "one").events, "train").failed("no luck")
    states = {row.run.name: row.facts.state for row in reader.read()}
    assert (looks, states["one"]) == (["one"], "failed")
    looks.clear()
    lock = acquire_lock(RunDir(tmp_path / "two"))
    write_json(RunDir(tmp_path / "two").state, sample_run.supervising("train", ("train",)))
    for _ in range(3):  # while something works in it, at every look
        assert {row.run.name: row.facts.state for row in reader.read()}["two"] == "running"
    os.close(lock)  # it was killed and has left no word
    reader.read()
    assert looks == ["two"] * 4


def test_a_run_half_deleted_is_none(tmp_path: Path) -> None:
    sample_run.new_run(tmp_path, "one")
    (tmp_path / "one").rename(tmp_path / ".deleted-one-1234")
    assert list_runs(tmp_path) == []


def test_a_long_history_is_held_compactly(tmp_path: Path) -> None:
    count = 50_000
    run = RunDir(tmp_path)
    line = {"type": "metric", "stage": "train", "time": 1.5, "name": "loss", "value": 2.25}
    with run.events.open("w") as file:
        file.writelines(json.dumps({**line, "step": step}) + "\n" for step in range(count))
    history = RunHistory(run)
    tracemalloc.start()
    history.update()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(history.curve("train", "loss")) == count
    assert held < 40 * count
    assert peak < 20e6


def test_how_a_run_stands_is_known_before_its_long_past_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.readers.run_reader._LOOK_S", 0.0)
    run, count = sample_run.new_run(tmp_path), 20_000
    line = {"type": "metric", "stage": "train", "time": 1.5, "name": "loss", "value": 2.25}
    with run.events.open("w") as file:
        file.writelines(json.dumps({**line, "step": step}) + "\n" for step in range(count))
    EventWriter(run.events, "train").failed("no luck")
    reader = RunReader(run)
    looks = [reader.read()]
    read = [len(looks[0].loss)]
    while looks[-1].read_share < 1:
        looks.append(reader.read())
        read.append(len(looks[-1].loss))
    assert len(read) > 2
    assert read == sorted(set(read))
    assert read[-1] == count
    assert {look.stages[1].state for look in looks} == {"failed"}


def test_a_long_past_keeps_no_other_run_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.readers.run_reader._LOOK_S", 0.0)
    long = sample_run.new_run(tmp_path, "long")
    line = {"type": "metric", "stage": "train", "time": 1.5, "name": "loss", "value": 2.25}
    with long.events.open("w") as file:
        file.writelines(json.dumps({**line, "step": step}) + "\n" for step in range(20_000))
    sample_run.new_run(tmp_path, "short")
    reader = RunsReader(tmp_path)
    assert (len(reader.read()), reader.unread) == (2, 1)
    while reader.unread:
        reader.read()
    losses = {row.run.name: len(row.snapshot.loss) for row in reader.read()}
    assert losses == {"long": 20_000, "short": 0}


def test_the_first_look_does_not_wait_for_the_settings(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "prepare")  # again: what follows is stale
    EventWriter(run.events, "benchmark").failed("no luck")
    code = (
        "import sys; from pathlib import Path; from tui.readers.run_reader import RunReader; "
        "from pipeline.contract.run.run_dir import RunDir\n"
        "look = RunReader(RunDir(Path(sys.argv[1]))).glance()\n"
        "print([s.state for s in look.stages][:8], len(look.loss), look.is_whole, "
        "[name for name in ('pydantic', 'tomlkit', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.root)], capture_output=True, text=True, check=True
    )
    states = [*["finished"] * 7, "failed"]
    assert done.stdout.strip() == f"{states} 400 False []"
    whole = RunReader(run).read()
    assert whole.is_whole
    assert {stage.state for stage in whole.stages[:5]} == {"done", "stale"}


def test_figures_are_read_however_slow_the_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        sample_run.scored_run(tmp_path, name)
    monkeypatch.setattr(runs, "_LOOK_S", -1.0)  # a look has no time for anything beyond a run
    reader = RunsReader(tmp_path)
    looks = 0
    while (rows := reader.read()) and reader.unread:
        looks += 1
        assert looks < 10
    assert len(rows) == 2


def test_losses_of_a_training_with_other_settings_are_not_told(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    sample_run.finish(run, "prepare")
    sample_run.train_events(run)
    sample_run.finish(run, "train")
    (row,) = RunsReader(tmp_path).read()
    assert row.facts.figures.loss is not None
    settings = run.settings.read_text()
    run.settings.write_text(settings.replace("epochs = ", "epochs = 1", 1))
    (row,) = RunsReader(tmp_path).read()
    assert row.facts.state == "stale"
    assert row.facts.figures.loss is None
    assert row.facts.figures.train_loss is None
