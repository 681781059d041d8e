"""The dashboard's app; stages are processes of their own and go on without it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import RenderableType
from textual import events, work
from textual.binding import BindingType
from textual.color import Color
from textual.command import Provider
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen
from textual.theme import Theme

from pipeline.contract.errors import SettingsError
from pipeline.contract.run.run_dir import RunDir, list_runs
from tui.collector import Collector
from tui.key_queue import KeyQueue
from tui.keys import Scope, bindings, hint
from tui.person.user import User
from tui.readers.clean import clean
from tui.readers.hardware import MachineReader
from tui.runs_folder import NOTICE, command_to_open, folder_beside
from tui.screens.mixins.view import View, scopes
from tui.terminal import (
    PlainLetters,
    end_of_stages,
    is_hung_up,
    lenient,
    page_told,
    speaks_utf8,
)
from tui.themes import DEFAULTS, HEADWATER, LIGHT, LIGHT_DEFAULTS, SIXTEEN

if TYPE_CHECKING:
    from tui.screens.dialogs.confirm import ConfirmDialog

_TERMINAL_CHECK_S = 3.0
_COLLECT_S = 1.0
_HINT_S = 20.0
_NOTICE_S = 30.0
_LAST_WORD_S = 2.0
"""How long a dead terminal may hold up a clean exit."""


def _commands() -> type[Provider]:
    from tui.commands import Commands  # nobody needs it before the palette is opened

    return Commands


class HeadwaterApp(KeyQueue[None], inherit_bindings=False):
    """The dashboard: lists runs, watches and starts stages, shows their results."""

    TITLE = "Headwater"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    COMMAND_PALETTE_BINDING = "colon"  # ctrl+p, the usual key, is Docker's
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}

    def __init__(self, runs: Path, run: RunDir | None = None, user: User | None = None) -> None:
        self._plain_letters = PlainLetters(enabled=not speaks_utf8(os.environ))
        super().__init__()
        self.animation_level = "none"
        self._runs, self._run = folder_beside(run, runs) if run else runs, run
        self._collector = Collector()
        self._user, self._machine = user or User(), MachineReader(folder=self._runs)
        for ours in (HEADWATER, LIGHT, SIXTEEN):
            self.register_theme(ours)
        few = self.console.color_system in (None, "standard") and not self.no_color
        self._begin_with(self._theme_of(self._user.theme, SIXTEEN if few else HEADWATER))
        self._shown_theme = self.theme
        self._hinted = False
        self.set_keymap(self._user.keys)

    def _theme_of(self, name: str, otherwise: Theme) -> str:
        if name and name not in self.available_themes:
            valid = ", ".join(sorted(self.available_themes))
            raise SettingsError(f"there is no theme {name!r}", f"valid: {valid}")
        return name or otherwise.name

    def _begin_with(self, name: str) -> None:
        """Setting `theme` styles everything a second time. Textual has begun with a dark theme of
        true colours: another such can just be put in its place."""
        theme = self.get_theme(name)
        if theme and theme.dark and not theme.ansi:
            self.set_reactive(HeadwaterApp.theme, name)
            self.stylesheet.set_variables(self.get_css_variables())
        else:
            self.theme = name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The variables that our style sheet needs of every theme."""
        return DEFAULTS if self.current_theme.dark else LIGHT_DEFAULTS

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Adds a filter that draws in ASCII, for terminals without UTF-8."""
        filters = super().get_line_filters()
        return [*filters, self._plain_letters] if self._plain_letters.enabled else filters

    def get_driver_class(self) -> type[Driver]:
        """Textual's, made to bear whatever a terminal sends."""
        return lenient(super().get_driver_class())

    def panic(self, *renderables: RenderableType) -> None:
        """Ends with exit code 1: Textual's own end with 0 where the thread of the keys has died."""
        self._return_code = self._return_code or 1
        super().panic(*renderables)

    def get_default_screen(self) -> View[None]:
        """The run that was asked for or the only one, or the list of runs."""
        runs = list_runs(self._runs)
        run = self._run or (runs[0] if len(runs) == 1 else None)
        return self._one_run(run) if run else self._list_of_runs()

    def on_mount(self) -> None:
        """Starts to watch for a new theme and for the end of the terminal."""
        self._collector.begin()
        self._collector.key_came()  # whoever opens it is there
        self.set_interval(_COLLECT_S, self._collector.rest)
        self.theme_changed_signal.subscribe(self, self._theme_chosen)
        if self.is_web:
            self.screen_change_signal.subscribe(self, self._tell_page)
            self._tell_page(self.screen)
        if not self.is_headless:
            self._watch_terminal()
        if notice := os.environ.get(NOTICE):
            self.notify(clean(notice), severity="warning", timeout=_NOTICE_S, markup=False)

    def on_unmount(self) -> None:
        """Leaves the collector as it was."""
        self._collector.end()

    async def on_event(self, event: events.Event) -> None:
        """Tells the collector of keys and of the mouse; a key takes the hint away."""
        if isinstance(event, events.InputEvent) and not event.is_forwarded:
            self._collector.key_came()
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._end_hint()  # who presses keys wants to see what they do
        await super().on_event(event)

    @property
    def is_attended(self) -> bool:
        """Whether somebody has used keys or the mouse in the last seconds."""
        return self._collector.is_somebody_there

    def _tell_page(self, screen: Screen[Any]) -> None:
        """Tells the page around a browser's terminal which run is shown, and on which ground."""
        run = getattr(screen, "_run", None)
        title = f"{run.name} · {self.TITLE}" if isinstance(run, RunDir) else self.TITLE
        ground = Color.parse(self.theme_variables["background"]).hex6
        if self._driver and not isinstance(screen, ModalScreen):
            self._driver.write(page_told(title, ground))

    def _theme_chosen(self, theme: Theme) -> None:
        if theme.name != self._shown_theme:
            self._shown_theme = theme.name
            if self.is_web:
                self._tell_page(self.screen)
            try:
                self._user.choose_theme(theme.name)
            except SettingsError as error:
                title = clean(error.message)
                self.notify(error.hint, title=title, severity="warning", markup=False)

    def _watch_terminal(self) -> None:
        """Exits when the terminal closes, whether or not a signal says so."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            loop.add_signal_handler(number, self._leave_at_once, 128 + number)
        self.set_interval(_TERMINAL_CHECK_S, self._check_terminal)

    def _check_terminal(self) -> None:
        if is_hung_up(sys.__stdin__.fileno() if sys.__stdin__ else 0, pipe=self.is_web):
            self._leave_at_once(128 + signal.SIGHUP)

    def _leave_at_once(self, code: int) -> None:
        """Exits cleanly, by force after a while: writing to a dead terminal may block for ever."""
        deadline = threading.Timer(_LAST_WORD_S, os._exit, (code,))
        deadline.daemon = True
        deadline.start()
        self.exit(return_code=code)

    def holds(self, action: str | None) -> bool:
        """Whether the screen still reads what the key is meant for."""
        return isinstance(self.screen, View) and self.screen.holds(action)

    @property
    def keymap(self) -> Mapping[str, str]:
        """The person's own keys, by the names of what they do."""
        return self._user.keys

    def forget_hints(self) -> None:
        """Gives every hint once more."""
        self._user.forget_hints()

    def runs_to_go_to(self) -> list[RunDir]:
        """Runs that can be opened from here; none where something would be lost by leaving."""
        views = [screen for screen in self.screen_stack if isinstance(screen, View)]
        return list_runs(self._runs) if all(view.may_close for view in views) else []

    def open_run(self, run: RunDir) -> None:
        """Leaves what is open for another run; Esc leads from there to the list of runs."""
        while len(self.screen_stack) > 1 and _scope(self.screen) != "runs":
            self.pop_screen()
        self.push_screen(self._one_run(run))

    def action_out(self) -> None:
        """Back to the screen before; from a run to the list of runs, also where that was passed
        over."""
        here, below = _scope(self.screen), self.screen_stack[:-1]
        if here == "run" and (not below or _scope(below[-1]) != "runs"):
            show = self.switch_screen if below else self.push_screen
            show(self._list_of_runs(self._run_of(self.screen)))
        elif here != "runs":
            self.pop_screen()

    def _list_of_runs(self, come_from: RunDir | None = None) -> View[None]:
        from tui.screens.runs import RunsScreen  # where a run is opened, its screen comes first

        # as the list names it, however it was named when it was opened
        root = self._runs / come_from.root.absolute().name if come_from else None
        return RunsScreen(self._runs, self._machine, self._user, root)

    @staticmethod
    def _run_of(screen: Screen[Any]) -> RunDir | None:
        from tui.screens.run import RunScreen

        return screen.shown_run if isinstance(screen, RunScreen) else None

    def _one_run(self, run: RunDir) -> View[None]:
        from tui.screens.run import RunScreen

        return RunScreen(run, self._machine)

    def action_command_palette(self) -> None:
        """Finds a command by its name."""
        from tui.screens.dialogs.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def action_keys(self) -> None:
        """Shows all keys."""
        from tui.screens.dialogs.help import Help

        self._end_hint()
        shown = scopes(self.screen)
        told = hint(shown[0], self._user.keys) if shown else ""
        self.push_screen(Help(shown, self._user.keys, told))

    def action_repaint(self) -> None:
        """Draws everything again, where another program has written on the terminal."""
        self.screen.refresh()

    def on_view_ready(self) -> None:
        """Keys that came too early are acted on."""
        self.keys_may_come()

    def on_view_shown(self, event: View.Shown) -> None:
        """Tells what a screen is good for, the first time that a person sees it."""
        self._end_hint()
        text = hint(event.scope, self._user.keys)
        if text and self._user.sees_first(event.scope):
            # by then the screen has what was told before, and can take it away
            self.call_after_refresh(self._give_hint, text)

    def _give_hint(self, text: str) -> None:
        self.notify(text, title="New here?", timeout=_HINT_S, markup=False)
        self._hinted = True

    def _end_hint(self) -> None:
        """Takes the hint away, so that it does not cover the next screen; other news stays."""
        if self._hinted:
            self.clear_notifications()
        self._hinted = False

    def notify(self, *args: Any, **options: Any) -> None:
        """Tells the news, in place of a hint."""
        self._end_hint()
        super().notify(*args, **options)

    @work
    async def action_leave(self) -> None:
        """Leaves; where stages run, says first that they go on and how to come back."""
        working = self.at_work()
        if not working or await self.push_screen_wait(_leaving(working)):
            self.exit()

    def at_work(self) -> list[RunDir]:
        """The runs that a process works in."""
        from pipeline.contract.run.processes import is_locked

        runs = {run.root.resolve(): run for run in list_runs(self._runs)}
        if self._run:
            runs[self._run.root.resolve()] = self._run
        return [run for run in runs.values() if is_locked(run)]


def _scope(screen: Screen[Any]) -> Scope | None:
    return screen.SCOPE if isinstance(screen, View) else None


def _leaving(working: list[RunDir]) -> ConfirmDialog:
    from tui.screens.dialogs.confirm import ConfirmDialog

    back = "\n".join(f"  {command_to_open(run)}" for run in working)
    text = f"The stages at work go on without this screen. Come back with\n\n{back}"
    if ending := end_of_stages(os.environ, os.getpid()):
        text = ending
    return ConfirmDialog("Leave?", text, "leave", "stay")
