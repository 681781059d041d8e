"""The end of a log, followed."""

from __future__ import annotations

from pathlib import Path

from tui.readers.log_tail import LogTail


def test_new_lines_come_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    tail = LogTail(path)
    assert tail.read() == []
    path.write_text("one\ntwo\nthr")
    assert tail.read() == ["one", "two"]
    assert tail.read() == []
    with path.open("a") as file:
        file.write("ee\n")
    assert tail.read() == ["three"]


def test_a_progress_bar_shows_its_last_state(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\r 10%\r 50%\r100%\r\n\x1b[31mred\xff\n")
    assert LogTail(path).read() == ["100%", "␛[31mred\ufffd"]


def test_a_log_that_starts_over_is_read_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a long first line\n")
    tail = LogTail(path)
    tail.read()
    path.write_text("new\n")
    assert tail.read() == ["new"]


def test_only_the_end_of_a_huge_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 10_000_000 + b"\nlast\n")
    lines = LogTail(path).read()
    assert lines[-1] == "last"
    assert sum(map(len, lines)) < 10_000
