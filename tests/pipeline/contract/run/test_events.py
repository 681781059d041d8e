"""Events: whole lines only, whatever happens to the writer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.contract.run.events import EventReader, EventWriter


def test_a_reader_gives_each_event_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader, writer = EventReader(path), EventWriter(path, "train")
    assert reader.read() == []
    writer.metric("loss", 2.5, step=1)
    first = reader.read()
    assert [(e.type, e.stage, e.data["value"]) for e in first] == [("metric", "train", 2.5)]
    writer.warning("hot")
    assert [e.data for e in reader.read()] == [{"message": "hot"}]
    assert reader.read() == []


def test_a_note_is_in_the_log_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path, "factors").note("two batches agree")
    assert [e.data for e in EventReader(path).read()] == [{"message": "two batches agree"}]
    assert capsys.readouterr().out == "two batches agree\n"


def test_a_torn_last_line_is_held_back_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    line = b'{"type": "warning", "stage": "train", "time": 1.0, "message": "x"}\n'
    path.write_bytes(line[:20])
    assert reader.read() == []
    path.write_bytes(line)
    assert len(reader.read()) == 1


def test_an_event_after_a_line_torn_by_a_kill_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"type": "metr')
    EventWriter(path, "train").warning("after")
    assert [e.data["message"] for e in EventReader(path).read()] == ["after"]


def test_a_reader_starts_over_when_the_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    for _ in range(3):
        EventWriter(path, "train").warning("old")
    assert len(reader.read()) == 3
    path.unlink()
    EventWriter(path, "train").warning("new")
    assert [e.data["message"] for e in reader.read()] == ["new"]


def test_a_loss_that_is_not_a_number_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path, "train").metric("loss", math.nan, step=7)
    assert math.isnan(EventReader(path).read()[0].data["value"])


def test_progress_is_thinned_but_its_end_is_always_told(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path, "factors")
    for done in range(1001):
        writer.progress(done, 1000, "examples", "covariance")
    told = EventReader(path).read()
    assert len(told) < 20
    assert told[-1].data["done"] == 1000
    assert told[0].data["eta"] is None
    assert told[-1].data["eta"] == 0.0
