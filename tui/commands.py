"""The command palette: finds every action by any word of it, and the other runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol, cast

from textual.command import Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen

from pipeline.contract.run.run_dir import RunDir
from tui.keys import keys
from tui.readers.clean import clean
from tui.readers.words import holds
from tui.screens.mixins.view import scopes

_RUNS_SHOWN = 50
"""Runs that are listed at once, the newest; words find the others."""
_Command = tuple[str, str, Callable[[], Any]]
"""Its name, what it does, and the doing."""


class CommandedApp(Protocol):
    """What the palette asks of the app."""

    @property
    def keymap(self) -> Mapping[str, str]:
        """The person's own keys, by the names of what they do."""

    async def run_action(self, action: str, default_namespace: DOMNode | None = None) -> bool:
        """Does what a key would do."""

    def action_change_theme(self) -> None:
        """Lets the person choose other colours."""

    def forget_hints(self) -> None:
        """Gives every hint once more."""

    def runs_to_go_to(self) -> list[RunDir]:
        """The runs that can be opened from here."""

    def open_run(self, run: RunDir) -> None:
        """Leaves what is open for another run."""


class Commands(Provider):
    """Provides the palette's commands, in the order of the table of keys."""

    _runs: Sequence[RunDir] = ()

    async def startup(self) -> None:
        """Looks for runs once: a folder may hold thousands."""
        app = cast("CommandedApp", self.app)
        self._runs = await asyncio.to_thread(app.runs_to_go_to)

    async def discover(self) -> Hits:
        """Every command."""
        for hit in self._hits(""):
            yield hit

    async def search(self, query: str) -> Hits:
        """Commands that contain all of the words, those with them in the name first."""
        for hit in self._hits(query):
            yield hit

    def _hits(self, words: str) -> Iterator[Hit]:
        found = (command for command in self._commands() if holds(_text(command), words))
        runs = (command for command in self._ways_to_runs() if holds(_text(command), words))
        hits = chain(found, islice(runs, _RUNS_SHOWN))
        for position, command in enumerate(hits):
            name, meaning, do = command
            score = 0.5 * holds(name, words) + 0.5 / (1 + position)
            content = Content.assemble((name, "bold"), f"  {meaning}")
            yield Hit(score, content, do, _text(command))

    def _commands(self) -> Iterator[_Command]:
        app = cast("CommandedApp", self.app)
        for key in keys(*scopes(self.screen), "app"):
            name = key.action.partition("(")[0]
            owner = _owner(self.screen, name)
            if owner and name != "app.command_palette" and owner.check_action(name, ()):
                meaning = f"{key.help} ({key.display(app.keymap)})"
                yield key.label, meaning, partial(app.run_action, key.action, owner)
        yield "Theme", "choose other colours", app.action_change_theme
        yield "Hints", "give the hints for newcomers again", app.forget_hints

    def _ways_to_runs(self) -> Iterator[_Command]:
        app = cast("CommandedApp", self.app)
        for run in self._runs:
            yield f"Go to {clean(run.name, 60)}", "open the run", partial(app.open_run, run)


def _text(command: _Command) -> str:
    return f"{command[0]}: {command[1]}"


def _owner(screen: Screen[object], action: str) -> DOMNode | None:
    """Where an action is defined: on the focused widget, the screen or the app."""
    namespace, _, name = action.rpartition(".")
    asked = (screen.app,) if namespace else (screen.focused, screen)
    return next((one for one in asked if hasattr(one, f"action_{name}")), None)
