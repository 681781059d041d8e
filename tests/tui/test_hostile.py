"""Text from data is shown, never obeyed: neither by Textual's markup nor by the terminal."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import sample_run

from pipeline.contract.events import EventWriter
from tui.app import HeadwaterApp

MARKUP = "[/INST] [b [@click=app.exit]x[/] [link=http://x]"
CONTROLS = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202egnp\u200b\u2028\x00\x08\r\x7f\U000e0041"
STORM = "a" + "\u0301" * 500
LONG = "x" * 50_000
FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def painted(app: HeadwaterApp) -> str:
    """Every text that would be written to the terminal for the whole screen."""
    text = "".join(strip.text for strip in app.screen._compositor.render_strips())
    titles = [
        str(title)
        for widget in app.screen.walk_children()
        for title in (widget.border_title, widget.border_subtitle)
        if title
    ]
    return text + "".join(titles)


ZOO = {"markup": MARKUP, "controls": CONTROLS, "storm": STORM, "long": LONG}


@pytest.mark.parametrize("hostile", list(ZOO.values()), ids=list(ZOO))
async def test_no_screen_obeys_data(tmp_path: Path, hostile: str) -> None:
    run = sample_run.scored_run(tmp_path, hostile=hostile)
    run.log("prepare").write_text(hostile + "\n")
    events = EventWriter(run.events, "prepare")
    events.warning(hostile)
    events.progress(1, 2, hostile, hostile)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        for key in ("", "i", "enter", "enter", "n", "t"):
            await pilot.press(*([key] if key else []))
            await asyncio.sleep(0.5)
            await pilot.pause()
            assert app.is_running
            assert not FORBIDDEN.search(painted(app))
        shown = painted(app)
    assert "Mara Voss" in shown
    assert "[b" in shown or hostile is not MARKUP
    assert "␛[2J␛]52;c;aGk=␇⟨U+009B⟩31m⟨U+202E⟩" in shown or hostile is not CONTROLS
