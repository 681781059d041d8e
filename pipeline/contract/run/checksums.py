"""Checksums of what a stage wrote, by which damage is found later.

`<stage>/files.json` is written just before `done.json`, which is one of its files. Each file has
two checksums: one of a few blocks, which readers compare whenever they open it, and one of all
bytes, which `headwater verify` compares. They are for accidents: whoever can write to a run can
write both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from pipeline.contract.errors import DamagedResultError
from pipeline.contract.files import Json, open_regular, read_object, sync, write_json
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.run.typed import require_types

_BLOCK = 1 << 14
_BLOCKS = 16
"""Of a file that is larger than all of them only these are read when it is opened."""
_CHUNK = 1 << 20

Told = Callable[[int], object]
"""Hears how many bytes have been read just now."""


@dataclass(frozen=True)
class FileSum:
    """A file as it was when its stage finished."""

    size: int
    """Bytes."""
    sample: str
    """XXH3 of evenly spaced blocks, the first and the last among them."""
    whole: str
    """XXH3 of all bytes."""


@dataclass(frozen=True)
class Checksums:
    """The content of `files.json`."""

    finish: str
    """The id in `done.json`."""
    written: dict[str, FileSum]
    """By path below the run."""
    begun: dict[str, FileSum]
    """Likewise files to which later stages append: of the bytes that there were."""

    def write(self, stage: str, run: RunDir) -> None:
        """Replaces the stage's `files.json`."""
        value = asdict(self)
        write_json(run.checksums(stage), {**value, "own": _digest_of(value)})

    @classmethod
    def read(cls, stage: str, run: RunDir) -> Checksums | None:
        """Those of the stage; None where there are none.

        Raises:
            DamagedResultError: the file holds something else.
        """
        path = run.checksums(stage)
        if not path.exists():
            return None
        value = read_object(path) or {}
        try:
            if value.pop("own") != _digest_of(value):
                raise ValueError
            written, begun = sums_of(value.pop("written")), sums_of(value.pop("begun"))
            return cls(written=written, begun=begun, **value)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DamagedResultError(
                f"{stage}/{path.name} is damaged: it is not what was written there",
                f"`headwater repair {run.name}` says what to run again",
            ) from error


def sums_of(value: Json) -> dict[str, FileSum]:
    """JSON's own values as checksums by name; raises TypeError where they are none."""
    return {name: require_types(FileSum(**one)) for name, one in value.items()}


def _digest_of(value: Json) -> str:
    from xxhash import xxh3_128_hexdigest  # the dashboard's first paint does not wait for it

    return xxh3_128_hexdigest(json.dumps(value, sort_keys=True).encode())


def written_files(stage: str, run: RunDir) -> Iterator[Path]:
    """Files that the stage wrote, but for those that tell how it ended."""
    spec = STAGES[stage]
    others = {run.done(stage), run.exit(stage), run.checksums(stage)}
    others |= {run.stage(stage) / name for name in spec.scratch}
    folders = [run.stage(stage)]
    for pattern in (*spec.other_folders, *spec.kept_folders):
        folders.extend(sorted(run.root.glob(pattern)))
    for folder in folders:
        yield from _files_below(folder, others)


def _files_below(folder: Path, others: set[Path]) -> Iterator[Path]:
    """Regular files, no links and none that are hidden: those a killed attempt has left."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _counts(Path(here, name), others))
        for path in (Path(here, name) for name in sorted(names)):
            if _counts(path, others) and path.is_file() and not path.is_symlink():
                yield path


def _counts(path: Path, others: set[Path]) -> bool:
    return not path.name.startswith(".") and path not in others


def take_checksums(stage: str, finish: str, done: bytes, run: RunDir) -> Checksums:
    """Reads all that the stage wrote, and sees to it that it is on the disk.

    `done`: the bytes that `done.json` will have.
    """
    files = {_name(path, run): _kept_sum(path) for path in written_files(stage, run)}
    files[_name(run.done(stage), run)] = bytes_sum(done)
    return Checksums(finish, files, begun_sums(stage, run))


def _kept_sum(path: Path) -> FileSum:
    """Libraries leave what they write to the system: after a loss of power it would be gone, and
    `done.json` there."""
    sync(path)
    return file_sum(path)


def begun_sums(stage: str, run: RunDir) -> dict[str, FileSum]:
    """Checksums of the files to which later stages append."""
    appended = [run.events, *(run.root / name for name in STAGES[stage].appended)]
    return {_name(path, run): file_sum(path) for path in appended if path.is_file()}


def _name(path: Path, run: RunDir) -> str:
    return str(path.relative_to(run.root))


def file_sum(path: Path, size: int | None = None, told: Told = lambda _: None) -> FileSum:
    """Reads a file, or its first `size` bytes, whole.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    from xxhash import xxh3_128

    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size if size is None else size
        digest, left = xxh3_128(), size
        while left and (chunk := file.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
            told(len(chunk))
        return FileSum(size, _sample(file, size), digest.hexdigest())


def bytes_sum(content: bytes) -> FileSum:
    """As `file_sum`, of a file that has less than `_BLOCKS` blocks."""
    from xxhash import xxh3_64_hexdigest, xxh3_128_hexdigest

    return FileSum(len(content), xxh3_64_hexdigest(content), xxh3_128_hexdigest(content))


def _sample(file: BinaryIO, size: int) -> str:
    from xxhash import xxh3_64

    digest = xxh3_64()
    if size <= _BLOCK * _BLOCKS:
        digest.update(os.pread(file.fileno(), size, 0))
    else:
        for number in range(_BLOCKS):
            at = (size - _BLOCK) * number // (_BLOCKS - 1)
            digest.update(os.pread(file.fileno(), _BLOCK, at))
    return digest.hexdigest()


def fault_of(path: Path, then: FileSum, told: Told = lambda _: None) -> str:
    """What is wrong with a file that was so when its stage finished, all bytes read; "" if
    nothing is."""
    return _fault(path, then, lambda: file_sum(path, then.size, told).whole == then.whole)


def quick_fault(stage: str, path: Path, run: RunDir) -> str:
    """As `fault_of`, of any file, by its size and a few blocks; "" also where it is not known how
    the file was, or where it is gone."""
    then = _known(stage, run).get(_relative(path, run))
    return "" if then is None or not path.exists() else sample_fault(path, then)


def sample_fault(path: Path, then: FileSum) -> str:
    """As `fault_of`, by the file's size and a few blocks."""

    def same() -> bool:
        with open_regular(path) as file:
            return _sample(file, then.size) == then.sample

    return _fault(path, then, same)


def known_files(stage: str, run: RunDir) -> list[Path]:
    """The files that the stage is known to have written."""
    return [run.root / name for name in _known(stage, run)]


def _fault(path: Path, then: FileSum, same: Callable[[], bool]) -> str:
    try:
        size = path.stat().st_size
        if size == 0 < then.size:
            return "it is empty"
        if size != then.size:
            return f"it has {size:,} bytes, {then.size:,} were written"
        return "" if same() else "its content is not what was written"
    except FileNotFoundError:
        return "it is gone"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def begun_fault(path: Path, then: FileSum, told: Told = lambda _: None) -> str:
    """As `fault_of`, of a file that may have grown since."""
    try:
        now = replace(then, size=min(then.size, path.stat().st_size))
    except OSError:
        return "it is gone"
    if now.size < then.size:
        return _fault(path, then, lambda: True)
    whole = file_sum(path, then.size, told).whole
    return "" if whole == then.whole else "its content is not what was written"


def _relative(path: Path, run: RunDir) -> str:
    return _name(path, run) if path.is_relative_to(run.root) else ""


def _known(stage: str, run: RunDir) -> dict[str, FileSum]:
    """The files of a `files.json`; none where it is not there or damaged, which `verify` tells."""
    try:
        status = run.checksums(stage).stat()
    except OSError:
        return {}
    return _read_known(stage, run, (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=32)
def _read_known(stage: str, run: RunDir, _version: tuple[int, int, int]) -> dict[str, FileSum]:
    try:
        sums = Checksums.read(stage, run)
    except (DamagedResultError, OSError):
        return {}
    return sums.written if sums else {}
