"""Kills, damages and starves runs for some minutes, and counts what is lost.

scripts/soak --minutes 15 [--seed 7] [kill power corrupt disk clock together fuzz]
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from pipeline.contract.errors import ResourceError
from pipeline.contract.run.stages import STAGES
from tests.faults.corruption import random_damage, survive_damage
from tests.faults.disks import FullDisk, NoDiskError, small_disk, survive_full_disk
from tests.faults.kills import Stages, Undisturbed, random_kill, survive, survive_clock
from tests.faults.together import survive_all_killed, survive_suspension

_DISK = 256 << 20
_YEAR = 365 * 86400.0


@dataclass
class Soak:
    """What the parts work with."""

    rng: random.Random
    folder: Path
    stages: Stages
    whole: Undisturbed
    other: Undisturbed
    disk: Path | None
    """Where a small disk is mounted; None where nobody may mount one."""
    hit: Counter[str] = field(default_factory=Counter)
    """How often a fault really met what it was meant for."""

    @property
    def root(self) -> Path:
        return self.folder / "tried"


Injected = Iterator[tuple[str, str]]
"""The stage, and what was lost; "" if nothing was."""


def kill(soak: Soak) -> Injected:
    """kill -9 of every stage once, at a random moment."""
    for stage in STAGES:
        yield stage, _killed(soak, stage, None)


def power(soak: Soak) -> Injected:
    """The same with a loss of power: what was not synced is cut short."""
    for stage in STAGES:
        yield stage, _killed(soak, stage, soak.rng.randrange(1 << 30))


def _killed(soak: Soak, stage: str, power: int | None) -> str:
    where = replace(random_kill(stage, soak.whole, soak.rng), power=power)
    ended, lost = survive(soak.stages, soak.whole, where, soak.root, soak.rng)
    soak.hit["stages killed before they ended"] += ended.was_killed
    soak.hit["files cut by losses of power"] += len(ended.lost)
    return lost


def corrupt(soak: Soak) -> Injected:
    """A damaged file: found, named, no wrong ranking; one of four is repaired and run again."""
    for number in range(16):
        damage = random_damage(soak.whole.run, soak.other.run, soak.rng)
        again = number % 4 == 0
        yield (
            damage.stage,
            survive_damage(soak.stages, soak.whole, soak.other.run, damage, soak.root, again=again),
        )


def disk(soak: Soak) -> Injected:
    """Every stage on a disk that becomes full."""
    if soak.disk is None:
        return
    for stage in STAGES:
        grown = soak.whole.grown(stage)
        full = FullDisk(
            stage, soak.rng.choice([0, 4096, *(soak.rng.randint(0, grown) for _ in "12")])
        )
        ended, lost = survive_full_disk(soak.stages, soak.whole, full, soak.disk)
        soak.hit["stages that met the full disk"] += ended.code == ResourceError.exit_code
        yield stage, lost


def clock(soak: Soak) -> Injected:
    """A clock that jumps by up to ten years, forth and back, while a stage works."""
    for stage in soak.rng.sample(list(STAGES), 4):
        jump = soak.rng.uniform(-10 * _YEAR, 10 * _YEAR)
        yield stage, survive_clock(soak.stages, soak.whole, stage, jump, soak.root)


def together(soak: Soak) -> Injected:
    """Supervisor, stage and dashboard at once, with the real processes: killed, and suspended."""
    yield "train", survive_all_killed(soak.whole, soak.root, soak.rng)
    yield "train", survive_suspension(soak.whole, soak.root)


def fuzz(soak: Soak) -> Injected:
    """Hostile bytes for all that reads bytes of others, for a minute: see `scripts/fuzz`."""
    kept = soak.folder / "kept"
    command = [sys.executable, "-m", "tests.fuzz.run", "--minutes", "1", "--keep", str(kept)]
    ended = subprocess.run(
        [*command, "--seed", str(soak.rng.randrange(1 << 30))],
        capture_output=True,
        text=True,
        check=False,
    )
    yield "prepare", ended.stdout if ended.returncode else ""


PARTS: dict[str, Callable[[Soak], Injected]] = {
    part.__name__: part for part in (kill, power, corrupt, disk, clock, together, fuzz)
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--minutes", type=float, required=True)
@click.option("--seed", type=int, help="That of an earlier soak.  [default: a new one]")
def main(parts: tuple[str, ...], minutes: float, seed: int | None) -> None:
    """Inject faults for so many minutes; exit with 1 if anything was lost."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the small disk is unmounted
    seed = random.SystemRandom().randrange(1 << 30) if seed is None else seed
    names = parts or tuple(PARTS)
    print(f"seed {seed}: {', '.join(names)} for {minutes:g} min", flush=True)
    injected: Counter[tuple[str, str]] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    with ExitStack() as stack:
        soak = _begin(stack, random.Random(seed), "disk" in names)
        deadline = time.monotonic() + minutes * 60
        while time.monotonic() < deadline:
            for name in names:
                for stage, what in PARTS[name](soak):
                    injected[name, stage] += 1
                    lost[name, stage] += bool(what)
                    if what:
                        print(f"LOST: {what}", flush=True)
                    if time.monotonic() > deadline:
                        break
    _print_table(names, injected, lost)
    for what, count in sorted(soak.hit.items()):
        print(f"{what}: {count}")
    sys.exit(1 if lost.total() else 0)


def _begin(stack: ExitStack, rng: random.Random, with_disk: bool) -> Soak:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
    disk = None
    if with_disk:
        try:
            disk = stack.enter_context(small_disk(folder / "disk", _DISK))
        except NoDiskError as error:
            print(f"no part disk: {error}")
    stages = Stages(folder)
    stack.callback(stages.close)
    whole = Undisturbed.of(stages, folder / "whole")
    other = Undisturbed.of(stages, folder / "other", seed=1)
    shutil.rmtree(folder / "tried", ignore_errors=True)
    return Soak(rng, folder, stages, whole, other, disk)


def _print_table(
    names: tuple[str, ...], injected: Counter[tuple[str, str]], lost: Counter[tuple[str, str]]
) -> None:
    print(f"{'part':<10}{'stage':<12}{'injected':>10}{'survived':>10}{'lost':>6}")
    for name in names:
        for stage in STAGES:
            if count := injected[name, stage]:
                gone = lost[name, stage]
                print(f"{name:<10}{stage:<12}{count:>10}{count - gone:>10}{gone:>6}")
    total, gone = injected.total(), lost.total()
    print(f"{'all':<22}{total:>10}{total - gone:>10}{gone:>6}")


if __name__ == "__main__":
    main()
