"""What the dashboard costs, beside plain Textual and plotext in the same minutes.

    uv run python -m bench.screens [--quick]

Prints one line a measurement: ours, the peer's or the bound, and their ratio. Everything runs
under a real terminal (a pty of 80×24). CPU is the process's own time, so that other work on the
machine does not count; times to the first paint are medians of alternating starts.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import random
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from bench import load_data
from pipeline.contract.files import write_json
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.processes import ProcessIdentity, SupervisorState, acquire_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import profile, render_settings

HELLO = """
from textual.app import App
from textual.widgets import Label
class Hello(App):
    def compose(self):
        yield Label("headwater")
Hello().run()
"""
HELLO_COMMAND = [sys.executable, "-c", HELLO]
POINTS = 1_000_000
BEHIND = 2_000
"""Steps that the training has done already when the dashboard is opened."""
PATIENCE_S = 60
BYTECODE = tempfile.mkdtemp(prefix="bytecode-")


def main() -> None:
    """Every measurement, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer starts, shorter looks")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        run = made_run(Path(folder))
        starts(run, 3 if quick else 11)
        first_figures(load_data.finished_run(Path(folder) / "finished"), 3 if quick else 11)
        with at_work(run):
            at_rest(run, 20 if quick else 60)
    redraw(3 if quick else 10)
    shutil.rmtree(BYTECODE)


def made_run(folder: Path) -> RunDir:
    """A run in which nothing has happened yet."""
    run = RunDir(folder / "bench")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")), encoding="utf-8")
    return run


def starts(run: RunDir, count: int) -> None:
    """From the start of the process to the first paint, and the processor time until then."""
    ours, hello = dashboard(run), HELLO_COMMAND
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "hello": []}
    first_paint(ours, b"Stages"), first_paint(hello, b"headwater")  # the very first compile
    for _ in range(count):
        found["ours"].append(first_paint(ours, b"Stages"))
        found["hello"].append(first_paint(hello, b"headwater"))
    for number, what in enumerate(("start to first paint, s", "… of processor time, s")):
        mine, peer = (statistics.median(row[number] for row in found[who]) for who in found)
        tell(what, mine, "Textual hello world", peer, bound=1.3)


def first_figures(run: RunDir, count: int) -> None:
    """Processor time until a finished run's stages and loss are shown."""
    found = [(first_paint(dashboard(run), b"finished"), first_paint(HELLO_COMMAND, b"headwater"))
             for _ in range(count)]  # fmt: skip
    mine, peer = (statistics.median(pair[who][1] for pair in found) for who in (0, 1))
    tell("… to the first figures, s", mine, "Textual hello world", peer, bound=1.6)


def dashboard(run: RunDir) -> list[str]:
    """The command that `headwater` is, on a run."""
    start = "import sys; from tui.__main__ import main; sys.exit(main())"
    return [sys.executable, "-c", start, "--runs", str(run.root.parent), "tui", run.name]


def first_paint(command: list[str], shown: bytes) -> tuple[float, float]:
    """Seconds from the start until the screen shows text, by the clock and of the processor."""
    began = time.perf_counter()
    with Terminal(command) as terminal:
        terminal.until(shown)
        return time.perf_counter() - began, processor_s(terminal.process.pid)


def processor_s(pid: int) -> float:
    """Seconds of the processor that a process has had, in nanosecond steps."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def at_rest(run: RunDir, seconds: float) -> None:
    """What an open dashboard takes while a stage reports twice a second, beside an idle Textual."""
    share, rate = idle(dashboard(run), b"train running", seconds)
    hello_share, hello_rate = idle(HELLO_COMMAND, b"headwater", seconds)
    tell("processor of one core, %", 100 * share, "bound", 1.0, bound=1.0)
    tell("to the terminal, kB/s", rate / 1000, "bound", 2.0, bound=1.0)
    print(f"{'':32} (Textual hello world: {100 * hello_share:.2f} %, {hello_rate / 1000:.2f} kB/s)")


def idle(command: list[str], shown: bytes, seconds: float) -> tuple[float, float]:
    """Share of a core and bytes a second over some time, once the screen is up."""
    with Terminal(command) as terminal:
        terminal.until(shown)
        terminal.read_for(5)
        before, began = processor_s(terminal.process.pid), time.perf_counter()
        written = terminal.read_for(seconds)
        elapsed = time.perf_counter() - began
        return (processor_s(terminal.process.pid) - before) / elapsed, written / elapsed


@contextmanager
def at_work(run: RunDir) -> Iterator[None]:
    """Reports as a training in its middle would: a step, its readings and the memory, twice a
    second."""
    lock = acquire_lock(run)
    me = ProcessIdentity.of(os.getpid())
    state = SupervisorState(me, ("train",), token="", stage="train", stage_started=time.time())
    write_json(run.state, asdict(state))
    events = EventWriter(run.events, "train")
    events.started(1)
    stop = threading.Event()

    def reading(step: int) -> float:
        return 5 / (1 + step / 100) + random.random() / 10

    for step in range(BEHIND):
        events.metric("loss", reading(step), step)

    def report() -> None:
        step = BEHIND
        while not stop.wait(0.5):
            step += 1
            events.progress(step, 2 * BEHIND, "steps", "training")
            events.metric("loss", reading(step), step)
            events.memory(1 << 30)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join()
    os.close(lock)


def redraw(count: int) -> None:
    """A chart of a million readings at 200×50, drawn anew after one more; plotext of as many."""
    from tui.content.plot import Plot, Series
    from tui.readers.curve import Curve
    from tui.readers.window import Window

    noise, curve = random.Random(0), Curve()
    for step in range(POINTS):
        curve.append(step, 5 / (1 + step / 1e4) + noise.gauss(0, 0.1))
    times = []
    for step in range(POINTS, POINTS + count):
        curve.append(step, 1.0)
        began = time.process_time()
        window = Window(0, step)
        Plot([Series("loss", curve)], window, columns=190, rows=46, log=False).lines()
        times.append(1000 * (time.process_time() - began))
    mine = statistics.median(times)
    tell("redraw of 1,000,000 points, ms", mine, "bound", 50.0, bound=1.0)
    tell("… beside plotext", mine, "plotext", plotext_ms(curve.values.tolist()), bound=1.0)


def plotext_ms(values: list[float]) -> float:
    """Milliseconds that plotext takes for the same points in as many cells."""
    import plotext

    began = time.process_time()
    plotext.plotsize(200, 50)
    plotext.plot(values)
    plotext.build()
    return 1000 * (time.process_time() - began)


class Terminal:
    """A program in a terminal of 80×24."""

    def __init__(self, command: list[str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        environment["PYTHONPYCACHEPREFIX"] = BYTECODE  # as installed: compiled once, then kept
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, seconds: float) -> bytes:
        """What was written, if anything within some time."""
        ready = select.select([self.master], [], [], seconds)[0]
        return os.read(self.master, 1 << 16) if ready else b""

    def until(self, text: bytes) -> None:
        """Waits for a text."""
        seen, deadline = b"", time.monotonic() + PATIENCE_S
        while text not in seen:
            assert time.monotonic() < deadline, seen[-2000:]
            seen += self.read(0.1)

    def read_for(self, seconds: float) -> int:
        """Counts the bytes that are written in some time."""
        deadline, count = time.monotonic() + seconds, 0
        while (left := deadline - time.monotonic()) > 0:
            count += len(self.read(left))
        return count


def tell(what: str, mine: float, peer: str, other: float, bound: float) -> None:
    """One line: ours, the other, the ratio, and whether it is within its bound."""
    ratio = mine / other
    verdict = "ok" if ratio <= bound else "OVER"
    print(f"{what:32} {mine:9.3f}   {peer} {other:.3f}   ratio {ratio:.2f} (≤ {bound}) {verdict}")


if __name__ == "__main__":
    main()
