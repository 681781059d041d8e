"""Events: whole lines only, whatever happens to the writer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.contract.run.events import (
    EventReader,
    EventWriter,
    Failed,
    Metric,
    Note,
    Progress,
    Warned,
)


def test_a_reader_gives_each_event_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader, writer = EventReader(path), EventWriter(path, "train")
    assert reader.read() == []
    writer.metric("loss", 2.5, step=1)
    (first,) = reader.read()
    assert first == Metric("train", first.time, "loss", 2.5, step=1)
    writer.warning("hot")
    (second,) = reader.read()
    assert second == Warned("train", second.time, "hot")
    assert reader.read() == []


def test_a_note_is_in_the_log_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path, "factors").note("two batches agree")
    (event,) = EventReader(path).read()
    assert event == Note("factors", event.time, "two batches agree")
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
    assert messages(EventReader(path)) == ["after"]


def test_a_reader_starts_over_when_the_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    for _ in range(3):
        EventWriter(path, "train").warning("old")
    assert len(reader.read()) == 3
    path.unlink()
    EventWriter(path, "train").warning("new")
    assert messages(reader) == ["new"]


def test_a_loss_that_is_not_a_number_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path, "train").metric("loss", math.nan, step=7)
    (event,) = EventReader(path).read()
    assert isinstance(event, Metric)
    assert math.isnan(event.value)


def test_progress_is_thinned_but_its_end_is_always_told(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path, "factors")
    for done in range(1001):
        writer.progress(done, 1000, "examples", "covariance")
    first, *_, last = events = EventReader(path).read()
    assert len(events) < 20
    assert first == Progress("factors", first.time, 0, 1000, "examples", "covariance", None, 0.0)
    assert last == Progress("factors", last.time, 1000, 1000, "examples", "covariance", 0.0, 1.0)


LINE = '{"type": "progress", "stage": "train", "time": 1, "done": 1, "total": 2%s}'


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (LINE % "", Progress("train", 1, 1, 2)),
        (LINE % ', "eta": 2.5, "unit": "steps"', Progress("train", 1, 1, 2, "steps", eta=2.5)),
        (LINE % ', "of a later version": []', Progress("train", 1, 1, 2)),
        (LINE % ', "eta": "soon"', None),
        (LINE.replace('"done": 1, ', "") % "", None),
        (LINE.replace("progress", "of a later version") % "", None),
        (LINE.replace('"progress"', "[]") % "", None),
        ('"a text"', None),
    ],
)
def test_what_is_no_event_of_this_version_is_passed_over(
    tmp_path: Path, line: str, event: Progress | None
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{line}\n")
    assert EventReader(path).read() == ([event] if event else [])


def messages(reader: EventReader) -> list[str]:
    return [event.message for event in reader.read() if isinstance(event, Warned)]


def test_a_failure_with_half_a_character_is_told_all_the_same(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl", "prepare")
    writer.failed("caf\udce9.jsonl cannot be read: \ud83d", "é")
    [event] = EventReader(tmp_path / "events.jsonl").read()
    assert isinstance(event, Failed)
    assert (event.message, event.hint) == ("caf\udce9.jsonl cannot be read: \ud83d", "é")


@pytest.mark.parametrize("odd", ["[1\n2]", "", "{", "1, 2", "1,2\n[3\n4]", "\x80"])
def test_an_odd_line_takes_no_other_with_it(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "events.jsonl"
    before, after = (
        f'{{"type": "warning", "stage": "train", "time": 1, "message": "{text}"}}'
        for text in ("before", "after")
    )
    path.write_bytes(f"{before}\n{odd}\n{after}\n".encode("latin-1"))
    assert messages(EventReader(path)) == ["before", "after"]
