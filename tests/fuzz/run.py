"""Tries the targets for as long as one likes: `scripts/fuzz --minutes 60 [TARGET …]`.

Each target gets an equal share of the time, in processes of its own: half of it inputs that a
grammar makes (hypothesis), half inputs that reach new lines (atheris, where that is installed). An
input that ends a target is kept as a file; with it in `tests/fuzz/kept/TARGET/` it is a test.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import re
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Tries every target that is named, or all; 1 where inputs were kept."""
    arguments = _arguments()
    if arguments.by_grammar:
        by_grammar(arguments.targets[0], arguments.seed, 60 * arguments.minutes, arguments.keep)
        return 0
    names = arguments.targets or list(TARGETS)
    chosen = arguments.seed if arguments.seed is not None else random.randrange(2**31)
    print(f"seed {chosen}; what ends a target is kept in {arguments.keep}", flush=True)
    ways = ["grammar"] + ["coverage"] * (importlib.util.find_spec("atheris") is not None)
    if "coverage" not in ways:
        print("atheris is not installed: inputs are not guided by coverage", flush=True)
    share = 60 * arguments.minutes / len(names) / len(ways)
    ended = [
        (name, way)
        for name in names
        for way in ways
        if not _survives(name, way, chosen, share, arguments.keep)
    ]
    for name, way in ended:
        print(f"{name} ended by an input of {way}: see {arguments.keep / name}")
    print(
        f"{len(names)} targets, {len(ended)} of {len(names) * len(ways)} rounds ended by an input"
    )
    return bool(ended)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("--seed", type=int, help="that of an earlier round, to repeat it")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-kept"), help="a folder for inputs")
    parser.add_argument("--by-grammar", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.targets if name not in TARGETS]:
        parser.error(f"no target {', '.join(unknown)}; there are: {', '.join(TARGETS)}")
    return arguments


def _survives(name: str, way: str, seed: int, seconds: float, keep: Path) -> bool:
    """Runs one round in a process of its own, which a native reader may end."""
    begun = time.monotonic()
    options = ["--seed", str(seed), "--minutes", str(seconds / 60), "--keep", str(keep)]
    program = ["tests.fuzz.run", "--by-grammar", *options]
    if way == "coverage":
        program = ["tests.fuzz.by_coverage", str(seed), str(round(seconds) or 1), str(keep / name)]
    command = [sys.executable, "-m", *program, name]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    told = f"{name:10}{way:10}{time.monotonic() - begun:6.0f} s"
    if ended.returncode == 0:
        print(f"{told}  {_tried(ended)} inputs", flush=True)
        return True
    print(f"{told}  ended with {ended.returncode}\n{ended.stderr[-3000:]}", flush=True)
    return False


def _tried(ended: subprocess.CompletedProcess[str]) -> str:
    """How many inputs a round says that it tried, in either's words."""
    counts = re.findall(r"(?:tried|number_of_executed_units:) (\d+)", ended.stdout + ended.stderr)
    return f"{int(counts[-1]):,}" if counts else "?"


def by_grammar(name: str, first: int, seconds: float, keep: Path) -> None:
    """Inputs of hypothesis, of one seed after the other."""
    last = keep / name / "last-of-grammar"  # what a native reader's crash leaves
    last.parent.mkdir(parents=True, exist_ok=True)
    end, tried = time.monotonic() + seconds, 0

    def read(content: bytes) -> None:
        nonlocal tried
        tried += 1
        last.write_bytes(content)
        TARGETS[name].read(content)

    profile = settings(
        database=None, deadline=None, max_examples=100, suppress_health_check=list(HealthCheck)
    )
    while time.monotonic() < end:
        first += 1
        try:
            seed(first)(profile(given(inputs(name, TARGETS[name]))(read)))()
        except BaseException:
            content = last.read_bytes()  # of its tries the last one is the smallest that fails
            (last.parent / f"crash-{hashlib.sha256(content).hexdigest()[:16]}").write_bytes(content)
            raise
    last.unlink()
    print(f"tried {tried}")


if __name__ == "__main__":
    sys.exit(main())
