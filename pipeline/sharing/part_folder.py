"""The parts of one piece of work, as the workers of a run share them in a folder.

A worker writes the files of a part into a folder of its own, then their checksums, and gives that
folder the part's name. The stage compares the checksums and moves the files to where they belong;
the empty folder stays as a mark. So a part appears whole, and the stage alone writes its results.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pipeline.contract.files import is_file_name, read_object, write_json
from pipeline.contract.run.checksums import FileSum, fault_of, file_sum, sums_of
from pipeline.contract.run.leases import Lease, Leases
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.sharing.work import Part, Work

_SUMS = "files.json"


class PartFolder:
    """Takes, publishes and collects parts."""

    def __init__(self, folder: Path, work: Work, worker: ProcessIdentity) -> None:
        """`folder`: that the stage has made for the work."""
        self._folder, self._work = folder, work
        self._leases = Leases(folder, worker)

    def take(self, part: Part) -> Lease | None:
        """Takes a part that is neither done nor held by another worker.

        Raises:
            OSError: the folder is gone.
        """
        lease = None if self.is_done(part) else self._leases.take(_name(part))
        if lease and self.is_done(part):  # its holder has published it between the two
            lease.give_back()
            return None
        return lease

    def is_done(self, part: Part) -> bool:
        """Whether the part has been published or saved."""
        return self._published(part).exists() or self._work.has(part)

    def stage(self, part: Part) -> Path:
        """Makes a folder for a part's files; raises OSError where this folder is gone."""
        staged = self._folder / f".{_name(part)}.{secrets.token_hex(8)}"
        staged.mkdir()
        return staged

    def publish(self, staged: Path, part: Part) -> None:
        """Gives the files their checksums and the part's name, unless it is there already."""
        sums = {path.name: asdict(file_sum(path)) for path in sorted(staged.iterdir())}
        write_json(staged / _SUMS, sums)
        try:
            staged.rename(self._published(part))
        except OSError:
            if not self._published(part).exists():
                raise
            shutil.rmtree(staged)  # another worker has done the same

    def mark(self, part: Part) -> None:
        """Says to all workers that the stage has the part."""
        self._published(part).mkdir(exist_ok=True)

    def collect(self, part: Part) -> bool | None:
        """Moves a published part into the folder of the work: True.

        None where there is none; False where it is not what was written, and has been removed.
        """
        published = self._published(part)
        if self._work.has(part):
            return True
        if not published.exists():
            return None
        sums = _read_sums(published)
        if self._are_whole(published, sums):
            for name in sums:
                with suppress(FileNotFoundError):  # moved by an attempt that was killed
                    (published / name).replace(self._work.folder / name)
            self._work.collected(part)
            if self._work.has(part):
                return True
        shutil.rmtree(published)
        return False

    def _are_whole(self, published: Path, sums: Mapping[str, FileSum]) -> bool:
        return bool(sums) and all(
            not fault_of(self._where(published, name), then) for name, then in sums.items()
        )

    def _where(self, published: Path, name: str) -> Path:
        """Where a file of a published part is, which a killed attempt may have moved."""
        here = published / name
        return here if here.exists() else self._work.folder / name

    def _published(self, part: Part) -> Path:
        return self._folder / f"part_{_name(part)}"


def _read_sums(published: Path) -> dict[str, FileSum]:
    """Of the files of a part; none where the file is damaged or names others."""
    try:
        sums = sums_of(read_object(published / _SUMS) or {})
    except TypeError:
        return {}
    return sums if all(map(is_file_name, sums)) else {}


def _name(part: Part) -> str:
    return f"{part[0]}_{part[1]}"
