"""Marked and shown examples leave the screen: as files, by the clipboard."""

from __future__ import annotations

import base64
import csv
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from pipeline.contract.results.lookup import Corpus
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run
from tests.tui.terminals import Terminal
from tests.tui.watching import PATIENCE_S, screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.readers.scores import Ranking, Scored
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen
from tui.widgets.ranking_table import RankingTable


@pytest.fixture
def app(tmp_path: Path) -> HeadwaterApp:
    return HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))


def copied(app: HeadwaterApp) -> Path:
    """The file that keeps what was copied."""
    assert isinstance(app.screen, RankingsScreen)
    return app.screen._run.exports / "copied.txt"


async def to_the_ranking(pilot: Pilot[None]) -> RankingTable:
    await pilot.press("I")
    await until_shown(pilot, "Prompts · 6")
    await pilot.press("enter")
    table = pilot.app.screen.query_one(RankingTable)
    await until(pilot, lambda: table.count == 1500)
    return table


async def write_to(pilot: Pilot[None], path: Path) -> None:
    pilot.app.screen.query_one("#entry", Input).value = str(path)
    await pilot.press("enter")
    await until(pilot, path.exists)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file)) if path.suffix == ".csv" else list(map(json.loads, file))


async def test_one_example_is_told_as_one(app: HeadwaterApp, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await to_the_ranking(pilot)
        await pilot.press("space", "x")
        await until_shown(pilot, "Export 1 marked")
        await write_to(pilot, tmp_path / "one.csv")
        await until_shown(pilot, "1 example is in")


async def test_what_is_marked_is_exported_highest_first(app: HeadwaterApp, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        table = await to_the_ranking(pilot)
        await pilot.press("j", "j", "j", "space", "home", "space", "space", "k", "k", "j", "space")
        assert len(table.marked) == 2
        assert screen_text(app).count("● ") == 2
        for ending in (".jsonl", ".csv", ".parquet"):
            await pilot.press("x")
            await until_shown(pilot, "Export 2 marked")
            await write_to(pilot, tmp_path / f"out{ending}")
            await until_shown(pilot, "2 examples are in")
    wanted = [("doc-0001", 1), ("doc-0004", 4)]
    for ending in (".jsonl", ".csv", ".parquet"):
        rows = read(tmp_path / f"out{ending}")
        assert [(row["example_id"], int(row["rank"])) for row in rows] == wanted
        assert [float(row["score"]) for row in rows] == pytest.approx([0.9, 0.9 / 4])
        assert [str(row["relevant"]) for row in rows] == ["True", "True"]
        assert float(rows[0]["score_bm25"]) == pytest.approx(0.9)
        assert rows[0]["text"] == table_text(tmp_path, 1)


def table_text(folder: Path, position: int) -> str:
    from pipeline.contract.results.lookup import Corpus
    from pipeline.contract.run.run_dir import RunDir

    return Corpus(RunDir(folder / "demo")).text(position)


async def test_what_is_shown_is_exported_in_its_order(app: HeadwaterApp, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        table = await to_the_ranking(pilot)
        await pilot.press("space", "slash", *"quay", "enter", "b")
        await until_shown(pilot, "bottom")
        await until(pilot, lambda: 0 < table.count < 1500)
        count = table.count
        await pilot.press("X")
        await until_shown(pilot, f"Export {count:,} shown")
        await write_to(pilot, tmp_path / "all.jsonl")
        assert table.listing
        names = [table.listing.corpus.example(p).id for p in table.listing.positions()]
    rows = read(tmp_path / "all.jsonl")
    assert [row["example_id"] for row in rows] == names
    assert len(rows) == count
    assert all("quay" in row["text"] for row in rows)
    assert {row["duplicate_group"] for row in rows} > {None}


async def test_an_export_tells_how_far_it_is_and_goes_on_on_other_screens(
    app: HeadwaterApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, go_on, in_threads = Corpus.text, threading.Event(), itertools.count()

    def waiting_text(*arguments: Any) -> str:
        if threading.current_thread() is not threading.main_thread() and next(in_threads) > 100:
            go_on.wait(PATIENCE_S)
        return text(*arguments)

    monkeypatch.setattr("tui.screens.mixins.taking._STEP", 100)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await to_the_ranking(pilot)
        monkeypatch.setattr(Corpus, "text", waiting_text)
        await pilot.press("x")
        await until_shown(pilot, "Export 1,500 shown")
        app.screen.query_one("#entry", Input).value = str(tmp_path / "all.csv")
        await pilot.press("enter")
        await until_shown(pilot, "exporting 100 of 1,500")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await until_shown(pilot, "exporting 100 of 1,500")
        go_on.set()
        await until_shown(pilot, "1,500 examples are in")
        assert "exporting" not in screen_text(app)
    assert len(read(tmp_path / "all.csv")) == 1500


async def test_the_proposed_file_is_in_the_run_and_not_there_yet(app: HeadwaterApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await to_the_ranking(pilot)
        await pilot.press("x")
        await until_shown(pilot, "Export 1,500 shown")
        path = Path(app.screen.query_one("#entry", Input).value)
        assert path.parts[-3:] == ("demo", "exports", "home-0-ekfac_normalized.csv")
        await pilot.press("enter")
        await until(pilot, path.exists)
        await pilot.press("x")
        await until_shown(pilot, "Export 1,500 shown")
        entry = app.screen.query_one("#entry", Input)
        assert Path(entry.value).name == "home-0-ekfac_normalized-2.csv"
        for wrong, told in (
            ("a.xlsx", "ends in .csv or .jsonl or .parquet"),
            (str(path), "there is something of this name"),
            ("/nowhere/a.csv", "there is no folder"),
        ):
            entry.value = wrong
            await until_shown(pilot, told)
    assert len(read(path)) == 1500


async def test_a_text_is_copied_by_the_terminal_and_kept_in_a_file(app: HeadwaterApp) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        table = await to_the_ranking(pilot)
        assert table.listing
        text = table.listing.corpus.text(table.listing.position(0))
        await pilot.press("y")
        await until_shown(pilot, "the text: sent to the terminal's clipboard")
        assert app.clipboard == text
        assert copied(app).read_text() == text + "\n"
        await pilot.press("space", "space", "y")
        await until_shown(pilot, "2 texts: sent")
        assert app.clipboard.count("\n\n") == 1


async def test_what_no_clipboard_takes_is_in_the_file_alone(
    app: HeadwaterApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.mixins.taking._CLIPBOARD_BYTES", 10)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await to_the_ranking(pilot)
        await pilot.press("y")
        await until_shown(pilot, "too long for a terminal's clipboard")
        assert app.clipboard == ""
        assert copied(app).exists()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    sample_run.scored_run(tmp_path, hostile="\x1b]52;c;aGk=\x07")
    terminal = Terminal("--runs", str(tmp_path), "tui", "demo")
    yield terminal
    terminal.close()


def test_the_terminal_is_sent_harmless_text_alone(terminal: Terminal) -> None:
    terminal.until("Stages")
    terminal.press("I")
    terminal.until("Tellin")
    terminal.press("\r")
    terminal.until("★ doc-000")
    terminal.press("y")
    terminal.until("clipboard", forget=False)
    sent = terminal.raw.partition(b"\x1b]52;c;")[2].partition(b"\x07")[0]
    text = base64.b64decode(sent).decode()
    assert "␛]52;c;aGk=␇" in text
    assert "\x1b" not in text
    assert terminal.raw.count(b"\x1b]52;") == 1


@pytest.mark.parametrize("keys", [("j", "x"), ("j", "X"), ("j", "enter", "x")])
async def test_what_is_taken_right_after_another_prompt_is_that_prompts(
    app: HeadwaterApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    may_rank, ranking = threading.Event(), Scored.ranking

    def late(scored: Scored, prompt_id: str, name: str) -> Ranking:
        assert prompt_id == "home-0" or may_rank.wait(PATIENCE_S)
        return ranking(scored, prompt_id, name)

    monkeypatch.setattr(Scored, "ranking", late)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        for key in keys:
            app.simulate_key(key)
        for _ in range(20):
            await pilot.pause()
        may_rank.set()
        await until_shown(pilot, "Export")
        await write_to(pilot, tmp_path / "out.jsonl")
    rows = read(tmp_path / "out.jsonl")
    scored = Scored(RunDir(tmp_path / "demo"))
    best = int(np.nanargmax(scored.scores("home-1", "ekfac_normalized")))
    assert {row["prompt_id"] for row in rows} == {"home-1"}
    assert rows[0]["example_id"] == scored.corpus.example(best).id
