"""Finds out what the terminal can show, and whether it is still open."""

from __future__ import annotations

import codecs
import os
import select
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from rich.cells import split_graphemes
from rich.segment import Segment
from textual import events
from textual._xterm_parser import XTermParser
from textual.color import Color
from textual.driver import Driver
from textual.filter import LineFilter

_PLAIN = {
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
    "▌": ">",  # the cursor: beside a border it must not look like one
    **dict.fromkeys("│┃▏▎▍▋▊▐", "|"),
    **dict.fromkeys("•‣▪◦⭑", "*"),
    **dict.fromkeys("─╌", "-"),
    **dict.fromkeys("━═▔", "="),
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~:=+#", strict=True)),
    **dict(zip("░▒▓Λ√▸÷−⟨⟩", ".:%L/>/-<>", strict=True)),
    **dict(zip("✓✗●○◌◐≠⊘★◆×≡", "+x@o.~!-*&x=", strict=True)),
    **dict(zip("■▲▼□△◇┊⚑≥°", "#Av%^$|P>'", strict=True)),
    **dict(zip("·…–—→›⏎⁺⁻“”↓↑←µ", '.~-->>$+-""v^<u', strict=True)),
}
_BRAILLE = range(0x2800, 0x2900)
_SCHEDULERS = (
    ("SLURM_STEP_ID", "a Slurm job", "`sbatch`"),
    ("PBS_JOBID", "a PBS job", "`qsub`"),
    ("LSB_JOBID", "an LSF job", "`bsub`"),
)
"""Environment variable of the jobs of a batch system, which it leaves nothing of when they end."""


def speaks_utf8(environment: Mapping[str, str]) -> bool:
    """Whether the locale is one of UTF-8; where none is named, terminals of today are."""
    # Python itself sets LC_CTYPE to C.UTF-8 where LANG is C: PEP 538
    names = ["LC_ALL", "LC_CTYPE", "LANG"]
    if environment.get("LANG") in ("C", "POSIX") and environment.get("LC_CTYPE") == "C.UTF-8":
        names.remove("LC_CTYPE")
    named = next((environment[name] for name in names if environment.get(name)), "UTF-8")
    return "utf" in named.lower()


def is_hung_up(descriptor: int, pipe: bool = False) -> bool:
    """Whether the terminal behind a file descriptor, or the other end of a pipe, is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)  # POLLHUP and POLLERR are told without asking
    gone = any(state & (select.POLLHUP | select.POLLERR) for _, state in poll.poll(0))
    return gone or not (pipe or os.isatty(descriptor))


def page_told(title: str, ground: str) -> str:
    """What sets the title and the ground's colour, "#10151a", of the page around a terminal."""
    return f"\x1b]2;{title}\x07\x1b]11;{ground}\x07"


class PlainLetters(LineFilter):
    """Draws everything in ASCII, cell for cell, for terminals without UTF-8."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """One line of the screen."""
        return [segment._replace(text=plain(segment.text)) for segment in segments]


def plain(text: str) -> str:
    """The text in ASCII, in as many cells."""
    if text.isascii():
        return text
    return "".join(_plain_letter(text[a:b], width) for a, b, width in split_graphemes(text)[0])


def _plain_letter(letter: str, width: int) -> str:
    """In `width` cells; a letter may be several characters, such as one with an accent."""
    first = letter[:1]
    found = first if first.isascii() else "*" if ord(first) in _BRAILLE else _PLAIN.get(first, "?")
    return found.ljust(width, "?")[:width]


def end_of_stages(environment: Mapping[str, str], process: int) -> str:
    """What ends the stages that are started from here, in a sentence; empty where they outlive
    it."""
    if process == 1:
        return "This is the container's first process: leaving ends every stage in it."
    for name, scheduler, script in _SCHEDULERS:
        if name in environment:
            return (
                f"This is a step of {scheduler}: the stages at work are killed when it ends, as it "
                f"does with the program that it began with. Stages started by {script} outlive it."
            )
    return ""


_ESCAPE = "\x1b"
_LONGER = "[O"
"""Letters behind an Esc that begin a sequence of their own."""


class KeyParser(XTermParser):
    """Tells a letter that follows Esc at once as "alt+letter", whatever else terminals mean by it.

    Whether that is a key of its own or two is for `KeyQueue` to say. Textual's own reading loses
    the Esc before a sign, takes "Esc b" for ctrl+left, and waits for more before it tells. It also
    ends the reading of all keys where a sequence that is like a key's names no character.
    """

    def _parse_extended_key(self, sequence: str) -> Any:  # type: ignore[override]  # it is cached
        try:
            return super()._parse_extended_key(sequence)
        except (ValueError, OverflowError):
            return None

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        escape, letter = sequence[:1], sequence[1:]
        if (
            escape == _ESCAPE
            and len(letter) == 1
            and letter.isprintable()
            and letter not in _LONGER
        ):
            alt, sequence = True, letter
        found = list(super()._sequence_to_key_events(sequence, alt))
        if alt:
            for key in found:
                key.key = key.key if key.key.startswith("alt+") else f"alt+{key.key}"
        return found


def lenient(driver: type[Driver]) -> type[Driver]:
    """The driver of a terminal, reading bytes that are no UTF-8 as U+FFFD, and Esc as Esc.

    Textual's dies of such bytes; they come from a terminal with another encoding, a paste, or a
    noisy line.
    """
    module = sys.modules[driver.__module__]
    if hasattr(module, "XTermParser"):
        setattr(module, "XTermParser", KeyParser)  # noqa: B010
    if hasattr(module, "getincrementaldecoder"):  # what it makes its decoder of, a strict one
        found = codecs.getincrementaldecoder("utf-8")
        setattr(module, "getincrementaldecoder", lambda _name: partial(found, "replace"))  # noqa: B010
    return driver
