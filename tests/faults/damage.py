"""Ways in which a file is damaged, and what a run's results are compared by."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.contract.files import read_json_lines
from pipeline.contract.run.checksums import written_files
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES

Way = Callable[[Path, random.Random], object]
"""Damages a file, which is this run's alone."""


def cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, max(2, len(content)))])


def flip_bit(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def empty(path: Path, _rng: random.Random) -> None:
    path.write_bytes(b"")


def remove(path: Path, _rng: random.Random) -> None:
    path.unlink()


WAYS: Mapping[str, Way] = {"cut": cut, "flip_bit": flip_bit, "empty": empty, "remove": remove}
EXCHANGE = "exchange"
"""Another way: the file of the same name of another run in its place."""


def copied(run: RunDir, root: Path) -> RunDir:
    """The run again, whose files are the same until one is replaced; to its events may be added."""
    again = RunDir(shutil.copytree(run.root, root, copy_function=os.link, symlinks=True))
    again.events.unlink()
    shutil.copyfile(run.events, again.events)
    return again


@contextmanager
def damaged(path: Path, way: str, rng: random.Random, other: Path | None = None) -> Iterator[None]:
    """Damages a file of a run made by `copied`, and puts the whole one back at the end."""
    kept = path.with_name(f".kept-{path.name}")
    path.rename(kept)
    try:
        if way == EXCHANGE:
            assert other is not None
            shutil.copyfile(other, path)
        else:
            shutil.copyfile(kept, path)
            WAYS[way](path, rng)
        yield
    finally:
        path.unlink(missing_ok=True)
        kept.rename(path)


def stage_files(run: RunDir) -> Iterator[tuple[str, Path]]:
    """Every file that a finished stage wrote, with the stage."""
    for stage in STAGES:
        if run.done(stage).exists():
            for path in (*written_files(stage, run), run.done(stage), run.checksums(stage)):
                yield stage, path


_TIMED = (
    "started.json",
    "done.json",
    "files.json",
    "summary.json",
    "corpus.json",
    "store.json",
    "budget.json",
)
"""Names of files that hold times, durations, ids of finishes, or the memory that was free."""
_OTHER = ("checkpoints", "report", "combined_evaluation_results", "deepeval_results", "asked")
"""Folders of such files, and of pictures."""


def results_of(run: RunDir) -> dict[str, str]:
    """Digests of what the stages have computed, by file; none of what holds a time."""
    found = {}
    for _, path in stage_files(run):
        name = path.relative_to(run.root)
        if path.name not in _TIMED and path.suffix != ".png" and not set(name.parts) & set(_OTHER):
            found[str(name)] = hashlib.sha256(_content(path)).hexdigest()
    return found


def _content(path: Path) -> bytes:
    """What a file holds; the order of a header's names is the library's whim, and a line that a
    killed process has torn is passed over by every reader."""
    content = path.read_bytes()
    if path.suffix == ".jsonl":
        return json.dumps(list(read_json_lines(path))).encode()
    if path.suffix == ".safetensors":
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        header.pop("__metadata__", None)
        return json.dumps(header, sort_keys=True).encode() + content[end:]
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pydict()).encode()
    return content
