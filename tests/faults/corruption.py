"""Damages a file of a finished run, has it found and repaired, and lets the run come out again."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from pipeline.contract.damage.verify import verify_stage
from pipeline.contract.run.run_dir import RunDir
from tests.faults.damage import EXCHANGE, WAYS, results_of, stage_files
from tests.faults.kills import Stages, Undisturbed
from tui.cli import main


@dataclass(frozen=True)
class Damage:
    """A file of a run, and what is done to it."""

    stage: str
    path: str
    """Below the run."""
    way: str

    def __str__(self) -> str:
        return f"{self.way} {self.path} of {self.stage}"


def random_damage(run: RunDir, other: RunDir, rng: random.Random) -> Damage:
    """Any file of any stage, in any way that changes it."""
    stage, path = rng.choice(list(stage_files(run)))
    name = path.relative_to(run.root)
    theirs = other.root / name
    exchanged = theirs.is_file() and theirs.read_bytes() != path.read_bytes()
    return Damage(stage, str(name), rng.choice([*WAYS, *([EXCHANGE] if exchanged else [])]))


def survive_damage(
    stages: Stages, whole: Undisturbed, other: RunDir, damage: Damage, root: Path, again: bool
) -> str:
    """Damages the file, looks whether it is found, and what a person is shown of the rankings.

    `again`: also repairs the run, runs what that asks for, and compares all results. Gives what was
    lost; "" if nothing was.
    """
    right = verb(whole.run, "rank", "run", "--json")
    shutil.rmtree(root, ignore_errors=True)
    run = RunDir(shutil.copytree(whole.run.root, root / "run", symlinks=True))
    path = run.root / damage.path
    if damage.way == EXCHANGE:
        shutil.copyfile(other.root / damage.path, path)
    else:
        WAYS[damage.way](path, random.Random(damage.path))
    check = verify_stage(run, damage.stage)
    if check is None or damage.path not in {fault.file for fault in check.faults}:
        return f"{damage}: not found"
    told = verb(run, "rank", "run", "--json")
    if told.exception and not isinstance(told.exception, SystemExit):
        return f"{damage}: a traceback: {told.exception!r}"
    if told.exit_code == 0 and told.stdout != right.stdout:
        return f"{damage}: a wrong ranking"
    return _repaired(stages, whole, run, damage) if again else ""


def _repaired(stages: Stages, whole: Undisturbed, run: RunDir, damage: Damage) -> str:
    told = verb(run, "repair", "run")
    if told.exit_code:
        return f"{damage}: not repaired: {told.output}"
    for stage in told.stdout.split()[2:-2]:
        ended = stages.run(stage, run)
        if ended.code:
            return f"{damage}: {stage} does not run again: {stages.told()[-600:]}"
    found = json.loads(verb(run, "verify", "run", "--json").stdout)
    if found["damaged"] or found["out_of_date"]:
        return f"{damage}: after the repair {found['damaged']} {found['out_of_date']}"
    wrong, missing = whole.differs(run), set(whole.results) - set(results_of(run))
    return f"{damage}: other results {wrong}, missing {sorted(missing)}" if wrong or missing else ""


def verb(run: RunDir, *words: str) -> Result:
    """A verb of the command line on a run, in this process."""
    return CliRunner().invoke(main, ["--runs", str(run.root.parent), *words])
