"""What every verb and screen costs when there is much of everything, and how that grows.

    uv run python -m bench.load [--share 1] [--keep FOLDER] [examples|prompts|runs|events …]

Makes runs with 1,000,000 examples, 10,000 prompts or 10,000,000 events, and a folder with 1,000
runs and 50,000 other files, each also a tenth and a hundredth as large; every verb that reads such
a run, and every key of the screens that show it, has a line. Seconds are the processor's, so that
other work does not count: of a verb its process's, of a key until the last paint that it brings,
threads that read counted. "screen" is what the screen's own thread had of it, which keeps the next
key waiting. The exponent says how they grow from a tenth to the whole, what a hundredth takes left
out: 1 is linear. Memory is the most that was resident. `--share 0.001` tries whether all works.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import load_data
from bench.rankings import ENDLESS, STILL_S, Moment, now, resident_mb, watched
from pipeline.contract.run.run_dir import RunDir
from tui.screens.runs import RunsScreen

SHARES = (0.01, 0.1, 1.0)
LARGE = "large"
KEY_S, OPEN_MB, GROWTH = 0.1, 1000.0, 1.1
"""Bounds: of a key on the screen's own thread, of a screen's memory, of the exponent."""
NOISE_S = 0.05
"""A smaller difference between a hundredth and a tenth is taken for as much."""
PATIENCE_S, REST_S, FIRST_S = 400, 5, 0.3
SIZE = (120, 40)

Keys = Sequence[tuple[str, ...]]
"""What is measured, if anything, and the keys; the last one's time counts."""


@dataclass(frozen=True)
class Figure:
    """What a verb or a key took."""

    seconds: float
    """Of the processor."""
    megabytes: float
    screen: float = 0.0
    """Of the seconds, those of the screen's own thread."""


@dataclass(frozen=True)
class Axis:
    """What there is much of."""

    whole: int
    make: Callable[[Path, int], object]
    """Makes the folder of runs."""
    verbs: Sequence[tuple[str, ...]]
    keys: Keys
    on_run: bool = True
    """The dashboard is opened on the large run, not on the list."""


def _examples(folder: Path, count: int) -> None:
    load_data.scored_run(folder / LARGE, 8, count)


def _prompts(folder: Path, count: int) -> None:
    load_data.scored_run(folder / LARGE, count, 1000)
    load_data.finished_run(folder / "small")


def _events(folder: Path, count: int) -> None:
    load_data.finished_run(folder / LARGE, count)
    load_data.finished_run(folder / "small")


TIMED = """
import os, subprocess, sys
nothing = subprocess.DEVNULL
process = subprocess.Popen(sys.argv[1:], stdout=nothing, stderr=nothing)
usage = os.wait4(process.pid, 0)[2]
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
STAGE, PYTHON = "-m pipeline", "-c"
RANK_ALL = "import sys, headwater; headwater.open_run(sys.argv[1]).rank('prompt-00001', top=None)"

AXES: Mapping[str, Axis] = {
    "examples": Axis(
        1_000_000,
        _examples,
        (
            ("status", LARGE),
            ("rank", LARGE, "--prompt", "prompt-00001"),
            ("rank", LARGE, "--csv"),
            (PYTHON, RANK_ALL),
            (STAGE, "report"),
        ),
        (
            ("influence", "I"),
            ("another prompt", "j"),
            ("", "enter"),
            ("methods", "M"),
            ("another method", "j", "enter"),
            ("sort by length", "o"),
            ("bottom", "b"),
            ("page down", "pagedown"),
            ("last", "G"),
            ("filter", "slash", "q"),
            ("", "enter", "escape", "escape"),
            ("", "enter"),
            ("example", "enter"),
            ("next example", "n"),
            ("its document", "0"),
            ("its other panels", "v"),
            ("", "escape", "escape", "escape"),
            ("ask", "A"),
        ),
    ),
    "prompts": Axis(
        10_000,
        _prompts,
        (
            ("status", LARGE),
            ("rank", LARGE, "--prompt", "prompt-00001"),
            ("rank", LARGE, "--top", "3"),
            ("compare", LARGE, "small"),
            ("questions", LARGE, "--missed"),
            (STAGE, "report"),
        ),
        (
            ("influence", "I"),
            ("another prompt", "j"),
            ("last prompt", "G"),
            ("", "enter"),
            ("example", "enter"),
            ("its rank for others", "v"),
            ("", "escape", "escape", "escape"),
            ("evaluation", "E"),
            ("answers", "2"),
            ("another answer", "j"),
            ("sort answers", "o"),
            ("filter answers", "slash", "9"),
            ("", "enter", "escape"),
            ("benchmarks", "3"),
            ("questions", "enter"),
            ("filter questions", "slash", "9"),
            ("", "enter", "escape", "escape", "escape"),
            ("report", "R"),
            ("last section", "G"),
            ("", "escape"),
            ("prompts", "P"),
            ("last of the prompts", "G"),
            ("", "escape"),
            ("settings", "S"),
        ),
    ),
    "runs": Axis(
        1_000,
        load_data.runs_folder,
        (
            ("runs",),
            ("runs", "--json"),
            ("status", "run-00000"),
            ("status", "none"),
            ("compare", "run-00000", "run-00001"),
        ),
        (
            ("down", "j"),
            ("last", "G"),
            ("mark", "space"),
            ("sort", "o"),
            ("filter", "slash", "9"),
            ("", "enter", "escape"),
            ("palette", "colon"),
            ("palette, a letter", "9"),
            ("", "escape"),
            ("help", "question_mark"),
            ("", "escape"),
            ("put away", "Z"),
            ("", "escape"),
            ("a run", "enter"),
        ),
        on_run=False,
    ),
    "events": Axis(
        10_000_000,
        _events,
        (
            ("status", LARGE),
            ("runs",),
            ("logs", LARGE),
            ("wait", LARGE),
            ("compare", LARGE, "small"),
            (STAGE, "report"),
        ),
        (
            ("metric", "m"),
            ("zoom in", "plus"),
            ("zoom out", "minus"),
            ("log scale", "l"),
            ("inspect", "full_stop"),
            ("a point before", "left"),
            ("", "full_stop"),
            ("the log", "2"),
        ),
    ),
}
OPENING, RESTING = "opening", "at rest, of a core"
LASTING = (OPENING, RESTING)
"""Lines of a screen that are no keys."""


def main() -> None:
    """Makes the runs of one axis after the other, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("axes", nargs="*", metavar="axis", help=f"of {', '.join(AXES)}; all")
    parser.add_argument("--share", type=float, default=1.0, help="of these sizes")
    parser.add_argument("--keep", type=Path, help="keep the runs below this folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        found = asyncio.run(screens(asked.keep, AXES[asked.child]))
        print(json.dumps({name: vars(figure) for name, figure in found.items()}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        for name in asked.axes or AXES:
            measure(name, (asked.keep or Path(temporary)) / name, asked.share)
            if not asked.keep:
                shutil.rmtree(Path(temporary) / name)


def measure(name: str, folder: Path, share: float) -> None:
    """All lines of one axis, each at three sizes."""
    axis = AXES[name]
    columns: list[dict[str, Figure]] = []
    sizes = [max(2, round(axis.whole * share * part)) for part in SHARES]
    for part, size in zip(SHARES, sizes, strict=True):
        runs = folder / f"{part:g}"
        if not runs.exists():
            began = time.process_time()
            axis.make(runs, size)
            taken = time.process_time() - began
            print(f"{size:,} {name}: made in {taken:.0f} s of the processor", file=sys.stderr)
        columns.append({named(verb): called(runs, verb) for verb in axis.verbs})
        columns[-1] |= opened(name, runs)
    print(f"\n{name}: {', '.join(f'{size:,}' for size in sizes)}")
    print(f"{'':44}{'of the processor':^27}growth  screen   most memory")
    for line in columns[-1]:
        is_key = line in {key[0] for key in axis.keys}
        print(told(line, is_key, [column[line] for column in columns]), flush=True)


def named(verb: Sequence[str]) -> str:
    """A verb as it stands in the table."""
    return "rank(top=None) in Python" if verb[0] == PYTHON else " ".join(verb)


def called(runs: Path, verb: Sequence[str]) -> Figure:
    """A verb in a process of its own, what it prints thrown away."""
    match verb:
        case (name, stage) if name == STAGE:
            command = ["-m", "pipeline", stage, str(runs / LARGE)]
        case (name, code) if name == PYTHON:
            command = ["-c", code, str(runs / LARGE)]
        case _:
            command = ["-m", "tui", "--runs", str(runs), *verb]
    # by a small process: what this one takes would count as the memory of its children
    timed = [sys.executable, "-S", "-c", TIMED, sys.executable, *command]
    seconds, kilobytes = subprocess.run(timed, check=True, stdout=subprocess.PIPE).stdout.split()
    return Figure(float(seconds), int(kilobytes) * 1024 / 1e6)


def opened(name: str, runs: Path) -> dict[str, Figure]:
    """The dashboard's lines, of a fresh process."""
    command = [sys.executable, "-m", "bench.load", "--child", name, "--keep", str(runs)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {line: Figure(**figure) for line, figure in found.items()}


async def screens(runs: Path, axis: Axis) -> dict[str, Figure]:
    """Opens the dashboard, waits until it is at rest, and presses keys."""
    app = watched(runs, RunDir(runs / LARGE) if axis.on_run else None)
    found: dict[str, Figure] = {}
    async with app.run_test(size=SIZE) as pilot:
        await _settled(app)
        found[OPENING] = Figure(time.process_time(), resident_mb())
        began = now()
        await asyncio.sleep(REST_S)
        share = (now().processor - began.processor) / (now().clock - began.clock)
        found[RESTING] = Figure(share, resident_mb())
        for name, *keys in axis.keys:
            await pilot.press(*keys[:-1])
            await _painted(app, now())
            began = now()
            await pilot.press(keys[-1])
            last = await _painted(app, began)
            if name:
                taken = last.processor - began.processor
                found[name] = Figure(taken, resident_mb(), last.own - began.own)
    return found


async def _painted(app: Any, began: Moment) -> Moment:
    """The last paint after `began`, once there is none for some time; `began` without any."""
    deadline = began.clock + PATIENCE_S
    while (
        time.perf_counter() < max(began.clock + FIRST_S, app.painted.clock + STILL_S)
        or any(worker.name not in ENDLESS for worker in app.workers)
    ) and time.perf_counter() < deadline:
        await asyncio.sleep(0.02)
    last: Moment = app.painted
    return max(began, last, key=lambda moment: moment.clock)


async def _settled(app: Any) -> None:
    """Waits until the first screen has read everything."""
    deadline = time.monotonic() + PATIENCE_S
    while not _has_read(app.screen) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


def _has_read(screen: Any) -> bool:
    if isinstance(screen, RunsScreen):
        return screen.list.count > 0 and "still to be read" not in str(screen.list.border_title)
    return screen.snapshot is not None and screen.snapshot.read_share == 1


def told(line: str, is_key: bool, figures: Sequence[Figure]) -> str:
    """A line: seconds at the three sizes, how they grow, memory, what is over its bound."""
    least, tenth, whole = (figure.seconds for figure in figures)
    growth = "   "
    over = []
    if whole - least > 2 * NOISE_S:
        exponent = math.log10((whole - least) / max(tenth - least, NOISE_S))
        growth = f"{exponent:.2f}"
        over += ["growth"] * (exponent > GROWTH and line != RESTING)
    screen = figures[-1].screen
    over += ["slow"] * (is_key and screen > KEY_S)
    memory = max(figure.megabytes for figure in figures)
    over += ["memory"] * (memory > OPEN_MB)
    seconds = "".join(f"{value:9.3f}" for value in (least, tenth, whole))
    own = f"{screen:.3f}" if is_key else ""
    return f"{line:<40}{seconds} s  {growth:>5}  {own:>6} {memory:7.0f} MB  {', '.join(over)}"


if __name__ == "__main__":
    main()
