"""The one boundary that text from data crosses before a screen or a terminal shows it.

Training text, prompts and logs may hold escape sequences, bidirectional overrides, zero-width
characters and lone surrogates. A terminal obeys or hides these; here they become visible.
"""

from __future__ import annotations

import re

_TAB = "    "
_ELLIPSIS = "…"
# C0, DEL and C1; soft hyphen; zero-width and bidi controls; line and paragraph separators;
# word joiner and invisible operators; BOM; interlinear marks; surrogates; tag characters
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# they choose between drawings of a letter; terminals differ in how wide that makes it
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_MAX_MARKS = 4
_STORM = re.compile(
    rf"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]{{{_MAX_MARKS}}})"
    r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20ff]+"
)


def clean(text: str, limit: int | None = None) -> str:
    """One line of harmless text: line ends become ⏎, control characters visible symbols.

    At most `limit` characters long where one is given, ending in … where something was cut.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + _ELLIPSIS
    text = text.replace("\r\n", "\n").replace("\t", _TAB).replace("\n", "⏎")
    return _STORM.sub(r"\1", _HIDDEN.sub(_visible, _SELECTORS.sub("", text)))


def clean_lines(text: str, limit: int | None = None) -> str:
    """As `clean`, with line ends kept."""
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + _ELLIPSIS
    return "\n".join(clean(line) for line in text.replace("\r\n", "\n").split("\n"))


def visible_letters(text: str) -> str:
    """As `clean`, letter for letter, for text that is edited: its length stays."""
    return _HIDDEN.sub(lambda match: symbol if len(symbol := _visible(match)) == 1 else "�", text)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩"
