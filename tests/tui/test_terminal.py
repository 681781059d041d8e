"""Under a real terminal: first paint, resize, leaving, hang-up."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Key
from textual.widgets import Input

from pipeline.contract.run.processes import acquire_lock, is_locked
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_run
from tests.tui.terminals import PATIENCE_S, Terminal
from tests.tui.watching import until
from tui.app import HeadwaterApp
from tui.key_queue import KeyQueue
from tui.terminal import KeyParser, end_of_stages, is_hung_up, plain, speaks_utf8


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    sample_run.scored_run(tmp_path, "books")
    return tmp_path


def test_first_paint_resize_keys_and_leaving(runs: Path) -> None:
    terminal = Terminal("--runs", str(runs), "tui", "books")
    try:
        terminal.until("all stages done")
        terminal.resize(120, 40)
        terminal.until("Memory and load")
        terminal.press("I")
        terminal.until("Prompts")
        terminal.press("q")
        assert terminal.ended() == 0
        assert b"\x1b[?1049l" in terminal.raw
    finally:
        terminal.close()


def test_bytes_that_are_no_utf8_end_nothing(runs: Path) -> None:
    terminal = Terminal("--runs", str(runs), "tui", "books")
    try:
        terminal.until("all stages done")
        os.write(terminal.master, b"\xff\xfe\xe9\xc3")
        terminal.press("I")
        terminal.until("Prompts")
        terminal.press("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()


@pytest.fixture
def noisy_opener(tmp_path: Path) -> Path:
    """A folder with openers that complain on the terminal, as those without a display do."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("xdg-open", "wslview", "open"):
        (folder / name).write_text("#!/bin/sh\necho NOISE; echo NOISE >&2; exit 3\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("display", ["", ":99"])
def test_no_browser_writes_on_the_screen(runs: Path, noisy_opener: Path, display: str) -> None:
    run = RunDir(runs / "books")
    sample_evaluation.write_report(run)
    terminal = Terminal(
        "--runs",
        str(runs),
        "tui",
        "books",
        PATH=f"{noisy_opener}{os.pathsep}{os.environ['PATH']}",
        DISPLAY=display,
        WAYLAND_DISPLAY="",
        WSL_DISTRO_NAME="",
    )
    try:
        terminal.until("all stages done")
        terminal.press("R")
        terminal.until("Contents")
        terminal.press("B")
        terminal.until("no browser here", forget=False)
        assert "NOISE" not in terminal.read(0)
        assert run.report_html.name[:20] in "".join(terminal.read(0).split())
    finally:
        terminal.close()


def test_control_l_draws_everything_again(runs: Path) -> None:
    terminal = Terminal("--runs", str(runs), "tui", "books")
    try:
        terminal.until("all stages done")
        terminal.press("\x0c")
        terminal.until("Stages", forget=False)
        terminal.until("Influence")
    finally:
        terminal.close()


def test_a_letter_right_behind_esc_is_a_key_of_its_own(runs: Path) -> None:
    terminal = Terminal("--runs", str(runs), "tui", "books")
    try:
        terminal.until("all stages done")
        terminal.press("D\x1bI")  # in one write
        terminal.until("Prompts · 6")
        terminal.press("\x1b\x1b")
        terminal.until("Runs · 1")
        terminal.press("\x1b/x")
        terminal.until("0 of 1 with")
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("\x1bd", ["alt+d"]),
        ("\x1bD", ["alt+shift+d"]),
        ("\x1b/", ["alt+slash"]),
        ("\x1bb", ["alt+b"]),
        ("\x1bda\x1b", ["alt+d", "a", "escape"]),
        ("\x1b\x1b", ["escape", "escape"]),
        ("\x1b[A\x1bOP\x1b[1;5D", ["up", "f1", "ctrl+left"]),
        ("\x1b\x7f", ["ctrl+w"]),
    ],
)
def test_what_follows_esc_is_told_apart_from_longer_sequences(typed: str, keys: list[str]) -> None:
    parser = KeyParser()
    told = [event for part in (typed, "") for event in parser.feed(part)]
    assert [event.key for event in told if isinstance(event, Key)] == keys


async def test_esc_and_a_letter_are_two_keys_where_no_key_is_both(tmp_path: Path) -> None:
    seen = list[str]()

    class Seeing(KeyQueue[None]):
        BINDINGS: ClassVar[list[BindingType]] = [("alt+k", "own", "")]

        def compose(self) -> ComposeResult:
            yield Input("two words", select_on_focus=False)

        def action_own(self) -> None:
            seen.append("own")

        def on_key(self, event: Key) -> None:
            seen.append(event.key)

    app = Seeing()
    async with app.run_test() as pilot:
        for key, letter in (("alt+shift+d", "D"), ("alt+slash", "/")):
            app.post_message(Key(key, letter))
        await until(pilot, lambda: app.query_one(Input).value == "two wordsD/")
        app.post_message(Key("alt+b", "b"))
        await until(pilot, lambda: app.query_one(Input).cursor_position == 4)
        assert seen[:2] == ["escape"] * 2
        app.screen.set_focus(None)
        app.post_message(Key("alt+k", "k"))
        app.post_message(Key("alt+b", "b"))
        await until(pilot, lambda: seen[-1] == "b")
    assert "own" in seen
    assert seen[-2:] == ["escape", "b"]


async def test_a_dashboard_that_dies_says_so_by_its_exit_code(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path)
    async with app.run_test():
        app.panic("the thread of the keys has died")
    assert app.return_code == 1


@pytest.mark.parametrize(
    ("variable", "process", "told"),
    [
        ("", 1, "leaving ends every stage"),
        ("SLURM_STEP_ID", 7, "a step of a Slurm job: the stages at work are killed"),
        ("PBS_JOBID", 7, "a PBS job"),
        ("", 7, ""),
    ],
)
def test_where_stages_end_with_what_started_them_it_is_said(
    variable: str, process: int, told: str
) -> None:
    found = end_of_stages({variable: "1"}, process)
    assert told in found
    assert bool(told) == bool(found)


def test_leaving_while_a_stage_runs_prints_how_to_come_back(runs: Path) -> None:
    run = sample_run.new_run(runs, "busy")
    acquire_lock(run)
    for arguments, usual, way in (
        (("--runs", str(runs), "tui", "busy"), "elsewhere", str(runs / "busy")),
        (("tui", "busy"), str(runs), "busy"),
    ):
        terminal = Terminal(*arguments, HEADWATER_RUNS=usual)
        try:
            terminal.until("waiting")
            terminal.press("q")
            terminal.until("Leave?")
            terminal.press("y")
            assert terminal.ended() == 0
            told = f"busy is still at work: `headwater tui {way}` comes back"
            assert told in terminal.read(0)
        finally:
            terminal.close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(runs: Path, number: signal.Signals) -> None:
    terminal = Terminal("--runs", str(runs), "tui", "books")
    try:
        terminal.until("all stages done")
        terminal.process.send_signal(number)
        assert terminal.ended() == 128 + number
        assert b"\x1b[?1049l" in terminal.raw
    finally:
        terminal.close()


@pytest.mark.parametrize("controlling", [True, False], ids=["SIGHUP", "no signal"])
def test_it_ends_when_its_terminal_is_gone(runs: Path, controlling: bool) -> None:
    terminal = Terminal("--runs", str(runs), "tui", "books", controlling=controlling)
    try:
        terminal.until("all stages done")
    finally:
        os.close(terminal.master)
    began = time.monotonic()
    assert terminal.process.wait(PATIENCE_S) == 128 + signal.SIGHUP
    assert time.monotonic() - began < 20


def test_a_stage_outlives_the_screen_that_started_it(runs: Path) -> None:
    run = sample_run.new_run(runs, "fresh")
    terminal = Terminal("--runs", str(runs), "tui", "fresh")
    try:
        terminal.until("waiting")
        terminal.press("s")
        terminal.until("prepare running")
    finally:
        terminal.close()
    deadline = time.monotonic() + 2 * PATIENCE_S
    while is_locked(run) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.done("prepare").exists()


def test_without_utf8_every_byte_is_ascii(runs: Path) -> None:
    terminal = Terminal("--runs", str(runs), "tui", "books", LANG="C", LC_CTYPE="")
    try:
        seen = ""
        deadline = time.monotonic() + PATIENCE_S
        while "all stages done" not in seen and time.monotonic() < deadline:
            seen = terminal.read(0.2)
        assert "+ all stages done" in seen
        assert terminal.raw.isascii()
    finally:
        terminal.close()


def test_sixteen_colours_and_none(runs: Path) -> None:
    for variables in ({"TERM": "xterm", "COLORTERM": ""}, {"NO_COLOR": "1"}):
        terminal = Terminal("--runs", str(runs), "tui", "books", controlling=True, **variables)
        try:
            terminal.until("all stages done")
        finally:
            terminal.close()


@pytest.mark.parametrize(
    ("environment", "answer"),
    [
        ({}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "C", "LC_CTYPE": "en_US.utf8"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, False),
        ({"LANG": "en_US.ISO-8859-1"}, False),
    ],
)
def test_the_locale_tells_what_the_terminal_speaks(
    environment: Mapping[str, str], answer: bool
) -> None:
    assert speaks_utf8(environment) is answer


def test_plain_letters_keep_every_cell() -> None:
    assert plain("╭─ ✓ done · 漢字 ⣿ …") == "+- + done . ???? * ~"
    assert plain("│▌ ✓ prepare") == "|> + prepare"
    assert plain("headwater › demo ↑ ▁▃▅█ ■▲") == "headwater > demo ^ _-:# #A"
    assert plain("▌ • demo") == "> * demo"


def test_a_terminal_is_hung_up_when_its_other_end_is_closed() -> None:
    master, slave = pty.openpty()
    assert not is_hung_up(slave)
    os.close(master)
    assert is_hung_up(slave)
    os.close(slave)


def test_a_killed_screen_is_opened_again_on_the_stage_that_runs_on(runs: Path) -> None:
    run = sample_run.new_run(runs, "fresh")
    first = Terminal("--runs", str(runs), "tui", "fresh")
    try:
        first.until("waiting")
        first.press("s")
        first.until("prepare running")
    finally:
        first.close()  # SIGKILL
    second = Terminal("--runs", str(runs), "tui", "fresh")
    try:
        second.until("prepare")
        deadline = time.monotonic() + 2 * PATIENCE_S
        while is_locked(run) and time.monotonic() < deadline:
            second.read(0.1)
        second.until("1 of 8 done")
    finally:
        second.close()
    assert run.done("prepare").exists()


def test_two_screens_on_one_run_show_the_same(runs: Path) -> None:
    run = sample_run.new_run(runs, "shared")
    screens = [Terminal("--runs", str(runs), "tui", "shared") for _ in range(2)]
    try:
        for screen in screens:
            screen.until("waiting")
        screens[0].press("s")
        for screen in screens:
            screen.until("prepare running")
        screens[1].press("c")
        screens[1].until("Stop prepare?")
        screens[1].press("y")
        for screen in screens:
            screen.until("cancelled")
    finally:
        for screen in screens:
            screen.close()
    assert not is_locked(run)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A tmux server of its own."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]

    def run(*command: str) -> str:
        return subprocess.run(
            [*server, *command], capture_output=True, text=True, check=False
        ).stdout

    yield run
    run("kill-server")


def test_in_tmux_it_is_left_behind_and_found_again(runs: Path, tmux: Callable[..., str]) -> None:
    command = shlex.join([sys.executable, "-m", "tui", "--runs", str(runs), "tui", "books"])
    tmux("new-session", "-d", "-s", "hw", "-x", "80", "-y", "24", command)

    def shows(text: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in tmux("capture-pane", "-t", "hw", "-p"):
            assert time.monotonic() < deadline, tmux("capture-pane", "-t", "hw", "-p")
            time.sleep(0.2)

    shows("✓ all stages done")
    for size in ((80, 24), (120, 40)):
        client = attached(["tmux", "-S", str(runs / "tmux"), "attach", "-t", "hw"], size)
        deadline = time.monotonic() + PATIENCE_S
        while not tmux("list-clients", "-t", "hw"):  # else there is nobody to detach yet
            assert time.monotonic() < deadline, "the client did not come"
            time.sleep(0.05)
        shows("Stages · 8 of 8 done")
        tmux("detach-client", "-s", "hw")
        assert client.wait(PATIENCE_S) == 0
    tmux("send-keys", "-t", "hw", "I")
    shows("Prompts · 6")
    tmux("send-keys", "-t", "hw", "Escape")
    shows("Stages · 8 of 8 done")
    tmux("send-keys", "-t", "hw", ":")
    shows("Search for commands")
    tmux("send-keys", "-t", "hw", "Help")
    shows("show all keys (?")


def attached(command: list[str], size: tuple[int, int]) -> subprocess.Popen[bytes]:
    """A client in a terminal of its own, whose output nobody reads."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    threading.Thread(target=drain, args=(master,), daemon=True).start()
    return process


def drain(master: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(master, 1 << 16):
            pass
