"""Random keys for the dashboard under a real terminal: it lives, and does nothing to a run unasked.

    uv run python -m tests.tui.random_keys [--count 200] [--seed 0]

A sequence leads to a screen and then writes bursts of keys, some of them no keys at all. What
starts, stops, archives or deletes is written down in place of being done. Prints the seed of each
sequence; a sequence is the same whenever its seed is.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.tui import sample_evaluation, sample_factors, sample_run
from tests.tui.terminals import PATIENCE_S, Terminal

ESC, REPAINT = b"\x1b", b"\x0c"
WAYS = (
    "",
    "S",
    "P",
    "P\r",
    "I",
    "I\r",
    "I\r\r",
    "A",
    "F",
    "E",
    "E2",
    "E3\r",
    "R",
    "2",
    "D",
    "?",
    ":",
)
"""Keys from the screen of a run to the others."""
LETTERS = [chr(code).encode() for code in range(32, 127) if chr(code) not in "qy"]
OTHERS = [
    *(ESC, b"\r", b"\t", b"\x7f", b"\x1b[Z", b"\x0c", b"\x01", b"\x15"),
    *(b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D", b"\x1b[5~", b"\x1b[6~", b"\x1b[H", b"\x1b[F"),
    *(b"\x1bOP", b"\x1b[15~", b"\x1bd", b"\x1b/", "é漢".encode(), b"\xff\xc3"),
    *(b"\x1b[<0;10;8M\x1b[<0;10;8m", b"\x1b[<64;40;12M", b"\x1b[200~two\nlines\x1b[201~"),
]
BURSTS, LONGEST = 20, 8
UNASKED = {"archive", "restore", "delete", "request_cancel"}
"""What must not be done: `y`, which agrees to it, is no key here."""
PROGRAM = """
import os, sys
from tests.tui.frozen_answers import FrozenAnswerer
from pipeline.contract.run import archive, new_run
from tui.processes import answerer, launcher, slurm
folder = sys.argv.pop(1)
def written_down(name):
    def do(*_, **__):
        with open(os.path.join(folder, "deeds"), "a") as file:
            file.write(name + "\\n")
        return True
    return do
for place, name in [(launcher, "start_stages"), (slurm, "request_cancel"),
                    (new_run, "clone_run"), (archive, "archive"), (archive, "restore"),
                    (archive, "delete")]:
    setattr(place, name, written_down(name))
answerer.Answerer = lambda run: FrozenAnswerer(hostile="")
os.makedirs(os.path.join(folder, "here"), exist_ok=True)
os.chdir(os.path.join(folder, "here"))
from tui.__main__ import main
sys.exit(main())
"""


def make_runs(folder: Path) -> None:
    """Two runs with results for every screen."""
    for name in ("one", "two"):
        run = sample_run.scored_run(folder / "runs", name)
        sample_run.finish(run, "benchmark", "evaluate", "validate", "index")
        sample_factors.write_spectra(run)
        sample_evaluation.write_evaluation(run)
        sample_evaluation.write_benchmarks(run)
        sample_evaluation.write_validation(run)
        sample_evaluation.write_report(run)


def opened(folder: Path) -> Terminal:
    """The dashboard on the runs, with its deeds written down."""
    runs = str(folder / "runs")
    variables = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}
    program = (sys.executable, "-c", PROGRAM, str(folder))
    terminal = Terminal("--runs", runs, program=program, **variables)  # type: ignore[arg-type]
    terminal.until("Runs · 2")
    return terminal


def sequence(seed: int) -> list[bytes]:
    """What is written, write by write."""
    chance = random.Random(seed)
    bursts = [ESC] * 8 + [b"\r", chance.choice(WAYS).encode()]
    for _ in range(BURSTS):
        keys = chance.choices(LETTERS, k=LONGEST) + chance.choices(OTHERS, k=LONGEST)
        bursts.append(b"".join(chance.sample(keys, chance.randint(1, LONGEST))))
    return bursts


def play(terminal: Terminal, seed: int) -> str:
    """Writes a sequence; gives what is wrong afterwards, or nothing.

    A dashboard that was left by a command of the palette has ended rightly.
    """
    for burst in sequence(seed):
        terminal.write(burst)
        terminal.read(0.02)
    terminal.raw = b""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (code := terminal.process.poll()) is not None:
            return f"ended with {code}: {terminal.read(0)[-3000:]}" if code else ""
        if b"\x1b[" in terminal.raw:
            return ""
        terminal.write(REPAINT)
        terminal.read(0.5)
    return f"no answer for {PATIENCE_S} s"


def deeds(folder: Path) -> set[str]:
    """What was done."""
    path = folder / "deeds"
    return set(path.read_text().split()) if path.exists() else set()


def faults(folder: Path, seeds: range) -> list[str]:
    """Plays sequences one after the other; gives those after which something was wrong."""
    make_runs(folder)
    found = []
    terminal = opened(folder)
    for seed in seeds:
        print(f"seed {seed}", flush=True)
        fault = play(terminal, seed)
        if unasked := deeds(folder) & UNASKED:
            fault = fault or f"did {', '.join(sorted(unasked))}"
            (folder / "deeds").unlink()
        if fault:
            found.append(f"seed {seed}: {fault}")
        if fault or terminal.process.poll() is not None:
            terminal.close()
            terminal = opened(folder)
    terminal.close()
    return found


def main() -> None:
    """Plays, prints, and exits with 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = faults(Path(folder), range(asked.seed, asked.seed + asked.count))
    print("\n".join(found) or f"{asked.count} sequences, nothing wrong")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
