"""Locks of files, by which the processes of a run keep apart."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from pipeline.contract.errors import UsageError
from pipeline.contract.run.run_dir import RunDir

NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EIO}
"""What the system says where a filesystem has no locks."""


def open_lock(path: Path) -> int:
    """Opens a lock's file for this account alone: who can read it could hold the lock for ever."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with suppress(PermissionError):  # another account's, which lets this one write
        os.fchmod(descriptor, 0o600)
    return descriptor


def take_lock(descriptor: int, where: Path) -> bool:
    """Locks an open file for this process alone; False where another holds it.

    Raises:
        UsageError: the filesystem has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        told = errno.errorcode.get(error.errno, str(error.errno))
        raise UsageError(
            f"the filesystem of {where} has no file locks ({told}): two processes could work in "
            "one run and spoil it",
            "keep the runs on another disk with --runs DIR, such as a local one; or mount this one "
            "with locks (NFS: without nolock, with its lock service running)",
        ) from error
    return True


def refuse_without_locks(run: RunDir) -> None:
    """Refuses a run's folder, which exists, where no work could be locked.

    Raises:
        UsageError: its filesystem has no locks.
    """
    with tempfile.TemporaryFile(dir=run.root) as file:
        take_lock(file.fileno(), run.root)


def has_open(pid: int, file: Path) -> bool:
    """Whether a process of this account has the very file open, as those of a run have its lock.

    Anybody may have written a process's id into a run's files: no process is taken for one of the
    run's, and ended, because of that alone.
    """
    with suppress(OSError):
        wanted = file.lstat()
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return False
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                if os.path.samestat(link.stat(), wanted):
                    return True
    return False


def lock_holders(file: Path) -> list[int]:
    """Ids of the processes that have locked the file, as far as the kernel shows them."""
    with suppress(OSError):
        status = file.stat()
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        rows = map(str.split, Path("/proc/locks").read_text().splitlines())
        return [
            int(row[4])
            for row in rows
            if row[1] == "FLOCK" and row[5] == f"{device}:{status.st_ino}"
        ]
    return []
