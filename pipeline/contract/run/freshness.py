"""Decides whether what a stage wrote is up to date.

A stage is fresh when it finished with the settings that hold now and with the very
outputs that its upstream stages show now. Every finish has an id of its own, so
running a stage again makes everything after it stale; but what reads only the corpus
that prepare wrote, and not the prompts, goes by the corpus's bytes: new prompts train no
model again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pipeline.contract.errors import DamagedResultError
from pipeline.contract.files import (
    Json,
    json_text,
    read_json,
    read_object,
    sync,
    write_json,
    write_text,
)
from pipeline.contract.run.checksums import take_checksums
from pipeline.contract.run.file_marks import (
    Marks,
    OutsideMarks,
    all_files,
    outside_marks,
    same_files,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import CORPUS_STAGE, STAGES, settings_read
from pipeline.contract.run.typed import require_types

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings


FORMAT = 2
"""The format of what stages write; see `results/migrations.py`."""
_LATER = (("train", "processes", 1), ("train", "shard", False), ("data", "held_out", ""))
"""Settings that came later, and what did as they do before there was a choice: with that they make
no earlier run stale."""


@dataclass(frozen=True)
class Fingerprint:
    """Identifies what a stage reads: settings, input files, and the finishes of earlier stages."""

    settings: str
    inputs: dict[str, str]


@dataclass(frozen=True)
class Done:
    """The content of `done.json`."""

    stage: str
    id: str
    fingerprint: Fingerprint
    seconds: float
    finished: float
    """Seconds since the epoch."""
    sources: Marks = field(default_factory=dict)
    """Local files outside the run that the stage read, as they were when it began."""
    model_files: Marks | None = None
    """Likewise files of models and tokenizers; None in runs of old, which do not say it."""
    corpus: str = ""
    """Of prepare in runs of old, which have no corpus mark: what that calls its digest."""
    format: int = 1
    """The format of what the stage wrote; runs of format 1 do not say it."""
    checksums: bool = False
    """Whether there are some of what it wrote; runs of earlier versions have none."""

    @classmethod
    def read(cls, stage: str, run: RunDir) -> Done | None:
        """Reads how the stage finished; None if it has not.

        Raises:
            DamagedResultError: the file holds something else.
        """
        value = read_json(run.done(stage))
        if value is None:
            return None
        try:
            fingerprint = Fingerprint(**value.pop("fingerprint"))
            sources, models = _marks(value.pop("sources")), value.pop("model_files", None)
            models = None if models is None else _marks(models)
            return require_types(
                cls(fingerprint=fingerprint, sources=sources, model_files=models, **value)
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DamagedResultError(
                f"{stage}/done.json does not say how the stage finished",
                f"`headwater run {stage} --force --run {run.name}` runs it again",
            ) from error


def begin(stage: str, settings: Settings, run: RunDir) -> Fingerprint:
    """Prepares the stage's folders for an attempt and returns its fingerprint.

    What an attempt with the same fingerprint left is kept to go on from, and the corpus where only
    the prompts are new; anything else is cleared, so that no stage ever meets old outputs.
    """
    spec, now = STAGES[stage], RunFreshness(settings, run)
    fingerprint, outside = now.fingerprint(stage), now.outside(stage)
    attempt = asdict(fingerprint)
    before = read_object(run.started(stage)) or {}
    same_inputs = all(before.get(part) == attempt[part] for part in attempt)
    same = same_files(outside, {kind: before.get(kind, {}) for kind in outside})
    goes_on = same_inputs and (same or spec.knows_its_files)
    if not goes_on and not (spec.writes_corpus and now.has_corpus()):
        clear(stage, run)
    if not (same_inputs and same):  # else what it first read is known, and may be away now
        write_json(run.started(stage), {**attempt, **all_files(outside)})
    run.done(stage).unlink(missing_ok=True)
    run.checksums(stage).unlink(missing_ok=True)
    return fingerprint


def clear(stage: str, run: RunDir) -> None:
    """Removes everything that the stage wrote."""
    folders = [run.stage(stage)]
    for pattern in STAGES[stage].other_folders:
        folders.extend(run.root.glob(pattern))
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def finish(
    stage: str, fingerprint: Fingerprint, settings: Settings, run: RunDir, seconds: float
) -> None:
    """Writes the checksums of what the stage wrote, then `done.json`, its last file."""
    # as they were when it began: what changed since, the stage may not have read
    now = all_files(outside_marks(stage, settings))
    outside = {**now, **(read_object(run.started(stage)) or {})}
    done = Done(
        stage=stage,
        id=uuid.uuid4().hex,
        fingerprint=fingerprint,
        seconds=round(seconds, 2),
        finished=time.time(),
        sources=_marks(outside["sources"]),
        model_files=_marks(outside["model_files"]),
        format=FORMAT,
        checksums=True,
    )
    text = json_text(asdict(done), indent=2) + "\n"
    take_checksums(stage, done.id, text.encode(), run).write(stage, run)
    write_text(run.done(stage), text)


def _marks(value: Json) -> Marks:
    return {path: (size, mtime) for path, (size, mtime) in value.items()}


def mark_corpus(settings: Settings, run: RunDir) -> None:
    """Writes down what the corpus, now complete, was made from."""
    now = RunFreshness(settings, run)
    mark = {"settings": now.corpus_settings(), **all_files(now.outside(CORPUS_STAGE))}
    write_json(run.corpus_mark, {**mark, "digest": _digest_of_corpus(run)})


def _digest_of_corpus(run: RunDir) -> str:
    """A digest of the bytes that training reads."""
    tokenizer = sorted(run.tokenizer.iterdir()) if run.tokenizer.exists() else []
    digest = hashlib.sha256()
    for path in (run.examples, run.validation, *tokenizer):
        if path.exists():
            sync(path)  # the mark says that they are there
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class RunFreshness:
    """Which stages of a run are up to date with its settings; each of their files is read once."""

    def __init__(self, settings: Settings, run: RunDir) -> None:
        self._settings, self._run = settings, run
        self._done: dict[str, Done | None] = {}
        self._fresh: dict[str, bool] = {}
        self._outside: dict[str, OutsideMarks] = {}

    def done(self, stage: str) -> Done | None:
        """How the stage finished, or None if it has not."""
        if stage not in self._done:
            self._done[stage] = Done.read(stage, self._run)
        return self._done[stage]

    def is_fresh(self, stage: str) -> bool:
        """Whether the stage has finished and nothing that it read has changed since."""
        if stage not in self._fresh:
            done = self.done(stage)
            same = done is not None and done.fingerprint == self.fingerprint(stage)
            self._fresh[stage] = same and self._has_same_files(stage) and not self.unmet(stage)
        return self._fresh[stage]

    def unmet(self, stage: str) -> list[str]:
        """The stages that the stage needs and that are not up to date."""
        corpus_only = STAGES[stage].corpus_only and self.has_corpus()
        return [
            name
            for name in STAGES[stage].needs
            if not (self.is_fresh(name) or (corpus_only and name == CORPUS_STAGE))
        ]

    def fingerprint(self, stage: str) -> Fingerprint:
        """The fingerprint that the stage would have if it started now."""
        spec = STAGES[stage]
        needed = [done for name in spec.needs if (done := self.done(name))]
        inputs = {done.stage: done.id for done in needed}
        if spec.corpus_only and self._corpus_digest:
            inputs[CORPUS_STAGE] = self._corpus_digest
        for name in spec.uses:
            if self.is_fresh(name) and (done := self.done(name)):
                inputs[name] = done.id
        for name in spec.input_files:
            if (file := self._run.root / name).exists():
                inputs[name] = hashlib.sha256(file.read_bytes()).hexdigest()
        return Fingerprint(self.digest(settings_read(stage, self._settings)), inputs)

    def digest(self, names: tuple[str, ...]) -> str:
        """A digest of the values of some settings, each a section or section.key."""
        picked: dict[str, object] = {}
        for name in names:
            section, _, key = name.partition(".")
            picked[name] = self._whole[section][key] if key else self._whole[section]
        return hashlib.sha256(json.dumps(picked, sort_keys=True).encode()).hexdigest()

    def corpus_settings(self) -> str:
        """A digest of the settings that a corpus would be made with now."""
        spec = STAGES[CORPUS_STAGE]
        return self.digest(tuple(name for name in spec.settings if name not in spec.prompts_only))

    def has_corpus(self) -> bool:
        """Whether the same corpus would be written again, whatever the prompts are now."""
        then = self._corpus_mark
        return then.get("settings") == self.corpus_settings() and same_files(
            self.outside(CORPUS_STAGE),
            {kind: then.get(kind) for kind in ("sources", "model_files")},
        )

    def outside(self, stage: str) -> OutsideMarks:
        """Marks of all files outside the run that the stage reads."""
        if stage not in self._outside:
            self._outside[stage] = outside_marks(stage, self._settings)
        return self._outside[stage]

    @cached_property
    def _whole(self) -> Json:
        whole = self._settings.model_dump(mode="json")
        for section, name, usual in _LATER:
            if whole[section][name] == usual:
                del whole[section][name]
        return whole

    @cached_property
    def _corpus_mark(self) -> Json:
        return read_object(self._run.corpus_mark) or {}

    @property
    def _corpus_digest(self) -> str:
        done = self.done(CORPUS_STAGE)
        return self._corpus_mark.get("digest") or (done.corpus if done else "")

    def _has_same_files(self, stage: str) -> bool:
        done = self.done(stage)
        then = {"sources": done.sources, "model_files": done.model_files} if done else {}
        return same_files(self.outside(stage), then)


def is_fresh(stage: str, settings: Settings, run: RunDir) -> bool:
    """Whether the stage has finished and nothing that it read has changed since."""
    return RunFreshness(settings, run).is_fresh(stage)


def forget(stage: str, run: RunDir) -> None:
    """Forgets how the stage finished, so that it starts from nothing the next time."""
    paths = [run.done(stage), run.checksums(stage), run.started(stage)]
    if STAGES[stage].writes_corpus:
        paths.append(run.corpus_mark)
    for path in paths:
        path.unlink(missing_ok=True)
