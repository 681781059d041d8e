"""What became of a corpus's bytes: per file, how many were read, and how many were lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.contract.errors import DataError
from pipeline.contract.results.examples import FileAccount
from pipeline.corpus.rows import Row

_NAMED_FAULTS = 5
_NAMED_FILES = 3
_WARNED_SHARE = 0.99
_KEPT_ACCOUNTS = 200
"""Files of which the summary tells: those that lost most."""


@dataclass
class _Account:
    """Of one file or dataset."""

    rows: int = 0
    empty: int = 0
    lost: int = 0
    bytes: int = 0
    lines: int = 0
    lost_bytes: int = 0

    def of_file(self, source: str) -> FileAccount:
        documents = self.rows - self.empty - self.lost
        return FileAccount(source, self.bytes, self.lines, documents, self.share)

    @property
    def share(self) -> float:
        """Of the bytes; of the rows where bytes are not known, as on the hub."""
        if self.bytes:
            return 1 - self.lost_bytes / self.bytes
        return 1 - self.lost / self.rows if self.rows else 1.0


@dataclass
class ReadCounts:
    """Counts the rows that were read and those that were skipped, and the bytes of both."""

    strict: bool
    """Whether an unreadable row is an error."""
    warn: Callable[[str], None]
    """Called with each warning."""
    empty: int = 0
    unreadable: int = 0
    first_fault: str = ""
    _accounts: dict[str, _Account] = field(default_factory=dict)
    _whole: _Account = field(default_factory=_Account)

    @property
    def rows(self) -> int:
        """How many rows were read, of whatever use."""
        return self._whole.rows

    @property
    def bytes(self) -> int:
        """How many bytes the rows took; 0 where the source does not tell."""
        return self._whole.bytes

    @property
    def lines(self) -> int:
        """How many lines of text files were read."""
        return self._whole.lines

    @property
    def share(self) -> float:
        """The share of the bytes that became documents; rows without text are left aside."""
        return self._whole.share

    def count(self, row: Row) -> None:
        """Counts a row that was read, whatever becomes of it."""
        for account in self._of(row):
            account.rows += 1
            account.bytes += row.size
            account.lines += row.lines

    def skip(self, row: Row, reason: str) -> None:
        """Counts a row as unreadable; warns of the first few.

        Raises:
            DataError: in strict mode.
        """
        if self.strict:
            raise DataError(
                f"{row.location}: {reason}", "data.strict = false skips and counts such rows"
            )
        for account in self._of(row):
            account.lost += 1
            account.lost_bytes += row.size
        self.unreadable += 1
        self.first_fault = self.first_fault or f"{row.location}: {reason}"
        if self.unreadable <= _NAMED_FAULTS:
            self.warn(f"skipped {row.location}: {reason}")

    def skip_empty(self, row: Row) -> None:
        """Counts a row that holds no text: nothing of it is lost."""
        self.empty += 1
        for account in self._of(row):
            account.empty += 1

    def _of(self, row: Row) -> tuple[_Account, _Account]:
        return self._whole, self._accounts.setdefault(row.source, _Account())

    def files(self) -> tuple[FileAccount, ...]:
        """An account of each file, the one that lost most first; of many files only these."""
        by_loss = sorted(self._accounts.items(), key=lambda item: -item[1].lost_bytes)
        return tuple(account.of_file(name) for name, account in by_loss[:_KEPT_ACCOUNTS])

    def warn_of_losses(self) -> None:
        """Warns of the numbers of skipped rows, and of their bytes if these are many."""
        for count, what in ((self.unreadable, "unreadable"), (self.empty, "empty")):
            if count:
                self.warn(f"{count:,} of {self.rows:,} rows are {what} and were left out")
        if self.share < _WARNED_SHARE:
            self.warn(self._told_share())

    def require_share(self, least: float) -> None:
        """Refuses a corpus of which too much was lost.

        Raises:
            DataError: less than the share `least` of the bytes became documents.
        """
        if self.share < least:
            raise DataError(
                f"{self._told_share()}. The first fault: {self.first_fault}",
                f"mend the files; data.min_read_share, {least:g} now, sets how much may be lost",
            )

    def described(self) -> str:
        """The whole corpus in one line."""
        files = f"{len(self._accounts):,} file{'' if len(self._accounts) == 1 else 's'}"
        return f"{files}: {self._whole.of_file('').described()}"

    def _told_share(self) -> str:
        losses = [one for one in self.files() if one.read_share < 1][:_NAMED_FILES]
        worst = "; ".join(f"{one.file}: {one.described()}" for one in losses)
        unit = "bytes" if self.bytes else "rows"
        return f"only {self.share:.1%} of the corpus's {unit} became documents ({worst})"
