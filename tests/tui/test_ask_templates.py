"""A question to a run on conversations can be read as the chat template writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run
from tests.tui.frozen_answers import FrozenAnswerer
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp

WRITTEN = "<|user|> Mara Voss was born in </s> <|assistant|>"


async def test_a_key_shows_the_prompt_as_the_template_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: RunDir = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "index")
    monkeypatch.setattr("tui.screens.ask.Answerer", lambda _run: FrozenAnswerer(written=WRITTEN))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("A")
        await pilot.press(*"Mara Voss was born in", "f2")
        await until_shown(pilot, "✓ answered")
        assert "<|user|>" not in screen_text(app)
        await pilot.press("v")
        await until_shown(pilot, "<|user|> Mara Voss was born in </s> <|assistant|>")
        await pilot.press("v")
        await until(pilot, lambda: "<|user|>" not in screen_text(app))
