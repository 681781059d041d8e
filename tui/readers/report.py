"""The Markdown report of a run, section by section."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from itertools import zip_longest

from pipeline.contract.results.report import load_report
from pipeline.contract.run.run_dir import RunDir

_HEADING = re.compile(r"^(#{1,6}) +(.+?) *#*$")
_RULE = re.compile(r"^\|(?: *:?-+:? *\|)+ *$")
_BORDER = re.compile(r"(?<!\\)\|")
_PICTURE = re.compile(r"^!\[(.*)\]\(([^()\s]+)\)$")
ADDRESS_BREAK = "&#8203;"
"""The report puts it into addresses, so that no page makes links of them."""
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
class Prose:
    """Paragraphs, headings and lists."""

    markdown: str


@dataclass(frozen=True)
class Grid:
    """A table; all rows have as many cells as the head."""

    head: tuple[str, ...]
    right: tuple[bool, ...]
    """Which columns hold figures."""
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A figure, by the path of its file beside the report."""

    path: str
    told: str
    """What it shows."""


Block = Prose | Grid | Picture


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


def blocks(markdown: str) -> list[Block]:
    """A section in pieces: its tables, its pictures, and the prose between them."""
    lines, found, prose = markdown.split("\n"), list[Block](), list[str]()

    def end_prose() -> None:
        if any(line.strip() for line in prose):
            found.append(Prose("\n".join(prose).strip("\n")))
        prose.clear()

    while lines:
        if len(lines) > 1 and lines[0].startswith("|") and _RULE.match(lines[1]):
            end_prose()
            end = next((n for n, line in enumerate(lines) if not line.startswith("|")), len(lines))
            found.append(_grid(lines[:end]))
            del lines[:end]
        elif picture := _PICTURE.match(lines[0]):
            end_prose()
            found.append(Picture(picture[2], _plain(picture[1])))
            del lines[0]
        else:
            prose.append(lines.pop(0))
    end_prose()
    return found


def _grid(lines: list[str]) -> Grid:
    """A table of Markdown; a row that is too short has empty cells at its end."""
    head, rule, *body = ([cell.strip() for cell in _BORDER.split(line)[1:-1]] for line in lines)
    return Grid(
        head=tuple(map(_plain, head)),
        right=tuple(mark.endswith(":") for mark in rule),
        rows=tuple(
            tuple(_plain(cell) for cell, _ in zip_longest(row[: len(head)], head, fillvalue=""))
            for row in body
        ),
    )


def _plain(text: str) -> str:
    """The text that the report has escaped, without what it puts into addresses."""
    return _ESCAPED.sub(r"\1", unescape(text.replace(ADDRESS_BREAK, "")))
