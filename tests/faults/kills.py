"""Runs whose stages are killed at any moment and then go on; used by tests and by scripts/soak."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from tests.faults.damage import results_of

ROOT = Path(__file__).parents[2]
SUBJECTS = ("The baker", "A miller", "The old mason", "Our neighbour", "The river")
VERBS = ("sells", "brings", "looks for", "walks past", "never speaks of")
OBJECTS = ("bread", "the mill", "a grey stone", "the harbour at night", "salt and flour")
SETTINGS = """
[run]
device = "cpu"
threads = 1
[data]
source = "local"
path = "data/texts.jsonl"
max_tokens = 64
[tokenizer]
source = "train"
vocab_size = 300
[model]
init = "scratch"
preset = "nano"
[train]
epochs = 1.0
learning_rate = 3e-3
batch_tokens = 256
checkpoint_every = 2
[modules]
layers = "0-1"
[factors]
strategies = ["ekfac"]
covariance_data_partitions = 2
lambda_data_partitions = 2
[scores]
data_partitions = 2
[prompts]
path = "prompts.jsonl"
max_new_tokens = 8
[generate]
max_new_tokens = 8
[benchmark]
chosen = ["boolq"]
data = "benchmarks"
ask = ["texts"]
shots = 0
[index]
features = 64
[validation]
seeds = 1
removed = 2
subsets = 0
tail_patch = 1
dampings = [1e-4]
fisher_seeds = 0
"""


def new_run(folder: Path, seed: int = 0) -> RunDir:
    """A run of a nano model on 56 sentences, in which no stage has run."""
    source, run = folder / "source", RunDir(folder / "run")
    rng = random.Random(seed)
    texts = [
        f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)}."
        + " And so it goes on." * rng.randrange(4)
        for _ in range(56)
    ]
    _write_lines(source / "data" / "texts.jsonl", [{"text": text} for text in texts])
    prompts = [
        {"id": "river", "prompt": "The river runs", "completion": " past the mill"},
        {"id": "baker", "prompt": "The baker sells", "completion": " bread"},
    ]
    _write_lines(source / "prompts.jsonl", prompts)
    rows = [
        {"question": f"is snow {colour}", "passage": "Snow is white.", "answer": colour == "white"}
        for colour in ("white", "black")
    ]
    _write_lines(source / "benchmarks/boolq/default/validation.jsonl", rows)
    write_run(run, SETTINGS, source / "settings.toml")
    return run


def _write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


@dataclass(frozen=True)
class Ended:
    """How an attempt of a stage ended."""

    code: int
    """Exit code; negative: killed by that signal."""
    seconds: float
    writes: int | None
    """How often it opened, renamed or removed a file of the run; None of one that was killed."""
    lost: list[str]
    """Files that a loss of power has cut."""

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Stages:
    """Runs stages, each in a process of its own; see `zygote.py`."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "stages.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._answer()

    def run(
        self,
        stage: str,
        run: RunDir,
        *,
        seconds: float | None = None,
        write: int | None = None,
        power: int | None = None,
        clock: float | None = None,
        memory: int | None = None,
        descriptors: int | None = None,
    ) -> Ended:
        """Runs a stage to its end, or kills it after so many seconds, or before it writes for the
        n-th time; `power`: the seed of what is lost then of what was not synced. `clock`: seconds
        by which the clock jumps while it works, and back again; `memory`: bytes that it may take;
        `descriptors`: files that it may have open.
        """
        assert self._process.stdin
        asked: dict[str, object] = {"stage": stage, "run": str(run.root), "log": str(self._log)}
        asked |= {"seconds": seconds, "write": write, "power": power, "clock": clock}
        asked |= {"memory": memory, "descriptors": descriptors}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(**self._answer())

    def told(self) -> str:
        """What the stages printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process that starts stages is gone"
        return json.loads(line)


@dataclass
class Undisturbed:
    """A run that nothing happened to, as it was before each stage."""

    folder: Path
    before: dict[str, RunDir] = field(default_factory=dict)
    """By stage."""
    ended: dict[str, Ended] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        stages: Stages,
        folder: Path,
        names: tuple[str, ...] = tuple(STAGES),
        seed: int = 0,
    ) -> Undisturbed:
        """Runs the stages one after the other, on texts that another seed makes others."""
        made, run = cls(folder), new_run(folder, seed)
        for name in names:
            made.before[name] = _copy(run, folder / f"before_{name}")
            made.ended[name] = stages.run(name, run)
            assert made.ended[name].code == 0, stages.told()[-3000:]
        made.results = results_of(run)
        return made

    @property
    def run(self) -> RunDir:
        """The run as it is after all stages."""
        return RunDir(self.folder / "run")

    def grown(self, stage: str) -> int:
        """Bytes that the run has more after the stage, and not fewer than 100,000."""
        names = list(self.before)
        after = names[names.index(stage) + 1 :]
        ended = self.before[after[0]] if after else self.run
        return max(100_000, _size(ended.root) - _size(self.before[stage].root))

    def again(self, stage: str, root: Path) -> RunDir:
        """A copy of the run as it was before the stage, in a folder of the same name."""
        shutil.rmtree(root, ignore_errors=True)
        return _copy(self.before[stage], root)

    def differs(self, run: RunDir) -> list[str]:
        """Files of a run's finished stages that are not those of the undisturbed one."""
        return [
            name for name, digest in results_of(run).items() if self.results.get(name) != digest
        ]


def _copy(run: RunDir, folder: Path) -> RunDir:
    """The run in another folder, under the same name."""
    return RunDir(shutil.copytree(run.root, folder / "run", symlinks=True))


@dataclass(frozen=True)
class Kill:
    """Where a stage is killed."""

    stage: str
    seconds: float | None = None
    write: int | None = None
    power: int | None = None

    def __str__(self) -> str:
        where = f"after {self.seconds:.2f} s" if self.seconds else f"before write {self.write}"
        return f"{self.stage} {where}" + (f", power {self.power}" if self.power is not None else "")


def random_kill(stage: str, whole: Undisturbed, rng: random.Random) -> Kill:
    """A random moment of a stage: by the clock or by what it writes, with or without power."""
    power = rng.randrange(1 << 30) if rng.random() < 0.5 else None
    if rng.random() < 0.5:
        return Kill(stage, seconds=rng.uniform(0.01, whole.ended[stage].seconds), power=power)
    return Kill(stage, write=rng.randint(1, whole.ended[stage].writes or 1), power=power)


def survive(
    stages: Stages, whole: Undisturbed, kill: Kill, root: Path, rng: random.Random
) -> tuple[Ended, str]:
    """Kills a stage, once or a second time while it goes on, lets it end, and compares.

    Gives how the first attempt ended, and what was lost; "" if nothing was.
    """
    run = whole.again(kill.stage, root)
    first = stages.run(kill.stage, run, seconds=kill.seconds, write=kill.write, power=kill.power)
    if first.was_killed and rng.random() < 0.3:
        second = random_kill(kill.stage, whole, rng)
        stages.run(kill.stage, run, seconds=second.seconds, write=second.write)
    last = stages.run(kill.stage, run)
    if last.code != 0:
        return first, f"{kill}: it did not go on: exit code {last.code}; cut {first.lost}"
    missing = set(results_of_stage(kill.stage, whole)) - set(results_of(run))
    wrong = whole.differs(run)
    if wrong or missing:
        told = f"{kill}: other results: {wrong}, missing {sorted(missing)}; cut {first.lost}"
        return first, told
    return first, ""


def survive_clock(stages: Stages, whole: Undisturbed, stage: str, jump: float, root: Path) -> str:
    """Lets the clock jump while a stage works, then runs it again, which has nothing to do.

    Gives what was lost; "" if nothing was.
    """
    run = whole.again(stage, root)
    first = stages.run(stage, run, clock=jump)
    if first.code or whole.differs(run):
        return f"{stage}, clock by {jump:.0f} s: exit {first.code}, other {whole.differs(run)}"
    finish = run.done(stage).read_bytes()
    again = stages.run(stage, run)
    if again.code or run.done(stage).read_bytes() != finish:
        return f"{stage}, clock by {jump:.0f} s: it was not up to date, exit {again.code}"
    return ""


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def results_of_stage(stage: str, whole: Undisturbed) -> dict[str, str]:
    """The undisturbed results that the stage wrote."""
    before = results_of(whole.before[stage])
    own = (f"{stage}/", *(pattern.rstrip("*") for pattern in STAGES[stage].other_folders))
    return {
        name: digest
        for name, digest in whole.results.items()
        if name not in before and name.startswith(own)
    }
