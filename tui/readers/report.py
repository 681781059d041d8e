"""The Markdown report of a run, section by section."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.contract.results.report import load_report
from pipeline.contract.run.run_dir import RunDir

_HEADING = re.compile(r"^(#{1,6}) +(.+?) *#*$")
_RULE = re.compile(r"^\|(?: *:?-+:? *\|)+ *$")
_BORDER = re.compile(r"(?<!\\)\|")
_COLUMN = 30
"""Characters of a column that count where a table's width is guessed: longer cells are broken."""
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it, up to the next heading."""

    level: int
    """1 for the title of the whole."""
    title: str
    markdown: str
    """With its heading."""


@dataclass(frozen=True)
class Report:
    """The report, and whether it still says what the run's results say."""

    sections: tuple[Section, ...]
    stale: bool


def read_report(run: RunDir) -> Report:
    """The report as it was written.

    Raises:
        MissingResultError: the report stage has not finished.
        DamagedResultError: the file cannot be read.
    """
    report = load_report(run)
    return Report(tuple(sections(report.value)), not report.fresh)


def sections(text: str) -> list[Section]:
    """The text cut before every heading; what stands before the first has no title."""
    parts: list[Section] = []
    level, title, lines = 1, "", list[str]()
    for line in text.split("\n"):
        if heading := _HEADING.match(line):
            if title or any(kept.strip() for kept in lines):
                parts.append(Section(level, title, "\n".join(lines)))
            level, lines = len(heading[1]), []
            title = _ESCAPED.sub(r"\1", heading[2])
        lines.append(line)
    return [*parts, Section(level, title, "\n".join(lines))]


def fitted(markdown: str, width: int) -> str:
    """The same text with every table that is wider than `width` cells as a list, a row an item:
    in columns of a few letters nobody could read it."""
    lines, done = markdown.split("\n"), list[str]()
    while lines:
        if len(lines) > 1 and lines[0].startswith("|") and _RULE.match(lines[1]):
            end = next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
            done += _fitted_table(lines[:end], width)
            del lines[:end]
        else:
            done.append(lines.pop(0))
    return "\n".join(done)


def _fitted_table(lines: list[str], width: int) -> list[str]:
    rows = [list(map(str.strip, _BORDER.split(line)[1:-1])) for line in lines]
    head, body = rows[0], rows[2:]
    columns = zip(*(row for row in rows if len(row) == len(head)), strict=True)
    needed = sum(min(max(map(len, column)), _COLUMN) + 3 for column in columns)
    if needed <= width:
        return lines
    return [
        "- "
        + " · ".join(
            f"**{name}** {cell}" for name, cell in zip(head, row, strict=False) if cell.strip("–")
        )
        for row in body
    ]
