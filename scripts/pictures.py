"""Takes the README's pictures: opens the dashboard on a finished run and saves its screens as SVG.

    uv run python scripts/pictures.py runs/demo

The run needs all stages, `custom-eval` for the answers and `index` for questions; and beside it a
run on what stays without instrument-047's five: README.md, "From a bad answer to a repaired model".
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ["TEXTUAL_COLOR_SYSTEM"] = "truecolor"  # read when textual is imported

from textual.pilot import Pilot

from pipeline.contract.files import write_text
from pipeline.contract.run.run_dir import RunDir
from tui.app import HeadwaterApp
from tui.person.user import User
from tui.themes import HEADWATER

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
_SIZE = (110, 32)
_PATIENCE_S = 120.0
_LETTERS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """A screen: the keys that lead to it from a run, each with what is shown before the next."""

    name: str
    steps: Sequence[tuple[str, str]]
    """Keys with … behind them are pressed again and again."""
    of: str = ""
    """Follows the run's name in that of the run whose screens they are."""


PICTURES = (
    Picture("run", [("", "all stages done"), ("j", "Stage · train")]),
    Picture("influence", [("", "all stages done"), ("I", "Prompts · "), ("enter", "top ")]),
    Picture(
        "factors",
        [("", "all stages done"), ("F", "effective rank"), ("space", "◆ "), ("n", "ratio")],
    ),
    Picture("evaluation", [("", "all stages done"), ("E", "Metrics · "), ("2", "comes from")]),
    Picture(
        "ask",
        [("", "all stages done"), ("I", "Prompts · "), ("A", "completion"), ("f2", " · exact")],
    ),
    Picture(
        "curate",
        [("", "all stages done"), ("I", "Prompts · "), ("j,K", "rows trained on go")],
    ),
    Picture(
        "compare",
        [("", "all stages done"), ("C", "Settings · "), ("5", "fell, ")],
        of="-2",
    ),
    Picture("report", [("", "all stages done"), ("R", "Contents · "), ("j…", "Recall@5")]),
)


async def take(run: RunDir, picture: Picture) -> str:
    """The screen as SVG, its letters left to whoever shows it: nothing is fetched from outside."""
    app = HeadwaterApp(run.root.parent, run, User())
    app.theme = HEADWATER.name
    async with app.run_test(size=_SIZE) as pilot:
        for keys, shown in picture.steps:
            again = keys.endswith("…")
            if not again:
                await pilot.press(*filter(None, keys.split(",")))
            await _until(pilot, shown, keys[:-1] if again else "")
        return _LETTERS.sub("", app.export_screenshot(title=f"headwater tui {run.name}"))


async def _until(pilot: Pilot[None], shown: str, key: str = "") -> None:
    """Waits for a text on the screen, and presses a key meanwhile, if one is named.

    Raises:
        SystemExit: it does not come.
    """
    every = 1.0 if key else 0.1
    for _ in range(round(_PATIENCE_S / every)):
        await pilot.press(*filter(None, [key]))
        await pilot.pause(every)
        text = html.unescape(pilot.app.export_screenshot(simplify=True))
        if shown in text.replace("\N{NO-BREAK SPACE}", " "):
            return
    raise SystemExit(f"waited in vain for {shown!r}: has the run everything that it needs?")


def main() -> None:
    """Writes every picture."""
    if len(sys.argv) != 2 or not RunDir(Path(sys.argv[1])).settings.exists():
        raise SystemExit(__doc__)
    for picture in PICTURES:
        svg = asyncio.run(take(RunDir(Path(f"{sys.argv[1]}{picture.of}")), picture))
        write_text(FOLDER / f"{picture.name}.svg", svg)
        print(FOLDER / f"{picture.name}.svg", f"{len(svg) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
