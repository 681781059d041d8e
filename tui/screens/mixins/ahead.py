"""What a key would wait for the first time is imported while nobody waits, in small steps."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from textual.app import App

AHEAD_S = 0.5
"""When it begins: the first look has been shown by then."""
_PAUSE_S = 0.05
"""Between two steps, for keys that come meanwhile."""
_SCREENS = Path(__file__).parents[1]
SCREENS = (
    "tui.screens.dialogs.help",
    "tui.screens.dialogs.palette",
    "tui.commands",
    "tui.screens.dialogs.confirm",
    "tui.screens.dialogs.remarks_form",
    "tui.screens.run",
    "tui.readers.run_reader",
    "tui.screens.compare",
    "tui.screens.settings",
    "tui.screens.prompts",
    "tui.screens.dialogs.prompt_form",
    "tui.screens.evaluation",
    "tui.screens.questions",
    "tui.screens.factors",
    "tui.screens.report",
    "tui.screens.ask",
    "tui.screens.rankings",
    "tui.screens.curate",
    "tui.screens.example",
)
RESULTS = (
    "tui.readers.listing",
    "tui.readers.scores",
    "tui.content.controls_text",
    "pipeline.contract.results.lookup",
    "tui.readers.allocator",
    "tui.readers.search",
    "pyarrow.parquet",
    "numpy.ma",  # which numpy.unique asks for
    "pydantic.dataclasses",  # both with the first settings that are read
    "pydantic.type_adapter",
    "textual.scrollbar",
)
"""NumPy and Arrow, which take half a second, and what these screens import where they use it."""


async def import_ahead(app: App[None], modules: Sequence[str]) -> None:
    """Imports modules that are not there yet, one after the other, off the event loop; then reads
    the screens' style sheets: with the first screen that has one, Textual parses all others again.
    """
    for name in modules:
        if name not in sys.modules:
            await asyncio.to_thread(importlib.import_module, name)
            await asyncio.sleep(_PAUSE_S)
    for sheet in sorted(_SCREENS.glob("*.tcss")):
        if not app.stylesheet.has_source(str(sheet), ""):
            app.stylesheet.read(sheet)
            app.stylesheet.parse()
            await asyncio.sleep(_PAUSE_S)
    gc.freeze()  # a collection that looks through all of it would be felt at a key
