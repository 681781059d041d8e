"""Trainings as parts that workers share: each is done by whoever takes it, and kept by the stage.

What a training comes to depends on its examples and its seed alone, not on who does it or when.

Shape legend: T trainings, N training examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from pipeline.contract.files import replacing
from pipeline.contract.results.validation import append_retraining, read_retrainings
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.sharing.stage import SharedStage, Sharing, own_parts
from pipeline.sharing.work import Part, digest
from pipeline.validation.ledger import Outcome, line
from pipeline.validation.retraining import Retrainer, Training

_PLAN = "trainings.safetensors"
_KEPT, _SEEDS = "kept", "seeds"


class Trainings:
    """Work in parts (see `sharing.work.Work`): each part is a training."""

    unit = "examples"

    def __init__(
        self,
        phase: str,
        trainings: Sequence[Training],
        retrainer: Retrainer,
        run: RunDir,
        folder: Path = Path(),
    ) -> None:
        """`trainings`: those that see the same examples in the same order count once."""
        self.phase, self.folder, self._run = phase, folder, run
        self.retrainer = retrainer
        self._trainings = {retrainer.key(one): one for one in trainings}
        self._keys = list(self._trainings)

    @classmethod
    def read(cls, phase: str, retrainer: Retrainer, run: RunDir, folder: Path) -> Trainings:
        """The very trainings that a stage shares in a folder.

        Raises:
            FileNotFoundError: the stage has gone on.
        """
        plan = load_file(folder / _PLAN)
        members = np.unpackbits(plan[_KEPT], axis=1, count=retrainer.examples)
        seeds = plan[_SEEDS].tolist()
        trainings = [
            Training(np.flatnonzero(row), seed) for row, seed in zip(members, seeds, strict=True)
        ]
        return cls(phase, trainings, retrainer, run, folder)

    @property
    def parts(self) -> list[Part]:
        """One a training."""
        return [(number, 0) for number in range(len(self._trainings))]

    @property
    def total(self) -> int:
        """Examples that all trainings see, each once: a pass over them is about as much."""
        return sum(len(training.kept) for training in self._trainings.values())

    def id(self, tokens: int) -> str:
        """Names the base, the prompts, and every training's examples and seed."""
        return digest([self.phase, *self._keys])

    def has(self, part: Part) -> bool:
        """Whether what the training came to is kept."""
        return self.retrainer.ledger.get(self._keys[part[0]]) is not None

    def begin(self, shared: Path) -> None:
        """Writes down which examples each training sees: packed bits [T, N ÷ 8], and its seed."""
        self.folder = shared
        members = np.zeros((len(self._trainings), self.retrainer.examples), dtype=np.uint8)
        for row, training in zip(members, self._trainings.values(), strict=True):
            row[training.kept] = 1
        seeds = np.array([one.seed for one in self._trainings.values()], dtype=np.int64)
        with replacing(shared / _PLAN) as temporary:
            save_file({_KEPT: np.packbits(members, axis=1), _SEEDS: seeds}, temporary)

    def collected(self, part: Part) -> None:
        """Keeps what another worker's training came to."""
        for found in read_retrainings(self._run, self.file(part)):
            if found.key == self._keys[part[0]]:
                self.retrainer.ledger.keep(found)

    def outcomes(self, trainings: Iterable[Training]) -> list[Outcome]:
        """ln p of the completions [Q] after each training, all of which are kept."""
        found = (self.retrainer.known(training) for training in trainings)
        return [outcome for outcome in found if outcome is not None]

    def training(self, part: Part) -> Training:
        """Of a part."""
        return self._trainings[self._keys[part[0]]]

    def file(self, part: Part) -> Path:
        """What another worker publishes, and the stage collects."""
        return self.folder / f"training_{part[0]}.jsonl"

    def do(self, sharing: SharedStage | None, settings: Settings, events: EventWriter) -> None:
        """Does this process's share of the trainings that are not kept yet, and keeps them all.

        Raises:
            DataError: one would see no examples.
        """
        parts, total = self.parts, len(self.parts)
        workers = sharing.workers if sharing else 1
        done = before = 0

        def tell(step: int = 0, steps: int = 1) -> None:
            # the others have come as far since this training began
            share = max(done + step / steps, before + workers * step / steps)
            events.progress(min(total, share), total, "trainings", self.phase)

        def count(*_: object) -> None:
            nonlocal done
            done = sum(map(self.has, parts))
            tell()

        count()
        with own_parts(self, sharing, settings, count) as mine:
            for part in mine:
                before = done
                training = self.training(part)
                print(f"{self.phase}: training {part[0] + 1} of {total}, {training}", flush=True)
                self.retrainer.outcome(training, tell)
                count()

    def help(self, sharing: Sharing, settings: Settings) -> None:
        """Does parts for a stage elsewhere, and publishes what they come to."""
        with own_parts(self, sharing, settings, lambda _: None) as mine:
            for part in mine:
                outcome = self.retrainer.train(self.training(part), lambda *_: None)
                found = line(self._keys[part[0]], outcome)
                append_retraining(self._run, found, sharing.place(self.file(part)))
