"""Every exception that a person can do something about.

HeadwaterError            exit 1   the stage failed
├── DataError                      rows, columns or files of the corpus
├── ModelError                     weights, modules, vocabulary
├── MissingResultError             a result that an earlier stage has not written yet
├── DamagedResultError             a result's file that is not what its stage writes
├── UsageError            exit 2   a command that makes no sense
│   └── SettingsError              settings.toml or prompts
├── RetryableError        exit 3   may succeed when tried again
│   ├── HubUnreachableError
│   ├── RunBusyError               another supervisor holds the run
│   └── ResourceError              disk full, out of memory
└── CancelledError        exit 130 somebody asked the stage to stop

Anything else that escapes a stage is a bug and keeps its traceback in the log.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class HeadwaterError(Exception):
    """One message for a person: what is wrong and where; `hint` says what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    def record(self) -> dict[str, str | int]:
        """As JSON, for the process that has asked this one; see `error_of`."""
        return {"error": self.message, "hint": self.hint, "exit_code": self.exit_code}


class DataError(HeadwaterError):
    """The corpus cannot be read as the settings say."""


class ModelError(HeadwaterError):
    """The model cannot do what the settings ask of it."""


class MissingResultError(HeadwaterError):
    """A result was asked for that no finished stage has written; `stage`: the one that would, where
    it has only to be run."""

    def __init__(self, message: str, hint: str = "", stage: str = "") -> None:
        super().__init__(message, hint)
        self.stage = stage


class DamagedResultError(HeadwaterError):
    """A file of a finished stage is not what the stage writes, or another version wrote it."""


class UsageError(HeadwaterError):
    """The command line makes no sense."""

    exit_code = 2


class SettingsError(UsageError):
    """A settings or prompts file is wrong."""


class RetryableError(HeadwaterError):
    """The same command may succeed later."""

    exit_code = 3


class HubUnreachableError(RetryableError):
    """The model and dataset hub does not answer."""


class RunBusyError(RetryableError):
    """Another process is already working in this run."""


class ResourceError(RetryableError):
    """The machine has run out of disk or memory."""


class CancelledError(HeadwaterError):
    """The stage was asked to stop and did."""

    exit_code = 130


_BY_EXIT_CODE = {
    kind.exit_code: kind for kind in (HeadwaterError, UsageError, RetryableError, CancelledError)
}


def error_of(record: Mapping[str, Any]) -> HeadwaterError:
    """The error that another process wrote down by `HeadwaterError.record`, by its exit code."""
    return _BY_EXIT_CODE[record["exit_code"]](record["error"], record["hint"])


_FULL = (errno.ENOSPC, errno.EDQUOT)
_SIGNS_OF_FULL = re.compile(
    "|".join(
        [
            *(re.escape(os.strerror(code)) for code in _FULL),
            *(rf"os error {code}\b" for code in _FULL),
            *("PytorchStreamWriter failed", "unexpected pos"),  # torch.save
            r"\d+ requested and \d+ written",  # NumPy
        ]
    )
)


def is_disk_full(error: BaseException) -> bool:
    """Whether a disk or a quota without room is behind an error.

    Few libraries raise an OSError with a number then: of the others only the message tells.
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if _SIGNS_OF_FULL.search(str(error)):
        return True
    return error.__cause__ is not None and is_disk_full(error.__cause__)


_SIGNS_OF_NO_MEMORY = re.compile(
    "|".join(
        [
            re.escape(os.strerror(errno.ENOMEM)),
            "DefaultCPUAllocator",  # PyTorch on the CPU
            "can't start new thread",
            "Failed to launch worker thread",  # PyArrow
        ]
    )
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a machine or a GPU without memory is behind an error; as `is_disk_full`."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # PyTorch's
        return True
    if _SIGNS_OF_NO_MEMORY.search(str(error)):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


def disk_full(where: Path | str) -> ResourceError:
    """Says that there was no room to write."""
    hint = "free some space, then `headwater resume` goes on from the last finished part"
    return ResourceError(f"disk full while writing {where}", hint)


def exhausted(error: BaseException, where: Path) -> ResourceError | None:
    """What the machine has run out of, where that is behind an error; None where it is not."""
    if is_disk_full(error):
        return disk_full(where)
    if is_out_of_memory(error):
        hint = "`free -h` shows what others take; a smaller train.batch_tokens takes less"
        return ResourceError("out of memory", hint)
    if os.strerror(errno.EMFILE) in str(error):
        hint = "`ulimit -n` says how many a process may have open, `ulimit -n 1024` allows more"
        return ResourceError("too many open files", hint)
    return None


@contextmanager
def disk_errors_explained(where: Path) -> Iterator[None]:
    """Turns "no space", "read-only" and "no permission" under `where` into one clear message.

    Raises:
        ResourceError: the disk or the quota is full.
        UsageError: the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        path = error.filename or where
        if error.errno in _FULL:
            raise disk_full(path) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "choose a folder you may write to with --runs DIR, or change its owner"
            raise UsageError(f"no permission to write {path}", hint) from error
        raise
