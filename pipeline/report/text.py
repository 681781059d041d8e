"""Text from data made harmless, and numbers as a person reads them.

Documents, prompts and answers may hold markup, control characters, bidirectional overrides and
lone surrogates. `visible` comes first in any format; HTML escaping is the template engine's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import category

from pipeline.contract.results.evaluation import LIKELIHOOD

MISSING = "–"

_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_MAX_MARKS = 4  # accents upon one letter; more are a storm that covers the lines around
_MARKUP = re.compile(r"[\\`*_\[\]|#~$@!]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINK = re.compile(r"(?i)(https?|ftp)(?=://)|(?i:www)(?=\.)")
_BLOCK_START = re.compile(r"^(\d*)([-+=.)]+)(?=\s|$)")


def visible(text: str) -> str:
    """Shows what a reader would not see; line ends and tabs stay."""
    return "".join(_shown(text.replace("\r\n", "\n")))


def _shown(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        kind = category(character)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if kind in _INVISIBLE and character not in "\n\t":
            yield f"⟨U+{ord(character):04X}⟩"
        elif marks <= _MAX_MARKS:
            yield character


def markdown(value: object) -> str:
    """One line of Markdown that shows the value letter by letter, in a table or out of one."""
    line = " ⏎ ".join(part.strip() for part in visible(str(value)).strip().split("\n"))
    line = re.sub(r"[&<>]", lambda match: _ENTITIES[match[0]], line)
    line = _MARKUP.sub(lambda match: "\\" + match[0], line)
    line = _LINK.sub(lambda match: f"{match[0]}&#8203;", line)  # no link is made of it
    return _BLOCK_START.sub(r"\1\\\2", line)


def figure(value: float | None, digits: int = 4) -> str:
    """Significant digits, thousands apart; or – where there is no value."""
    if value is None:
        return MISSING
    if 1e3 <= abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e")


def decimal(value: float | None) -> str:
    """A figure between 0 and 1 with two decimals, so that a column of them lines up."""
    return MISSING if value is None else f"{value:.2f}"


def count(value: float | None) -> str:
    """A whole number, thousands apart."""
    return MISSING if value is None else f"{value:,.0f}"


def percent(part: float | None, whole: float | None = 1) -> str:
    """A share as "42 %"."""
    return MISSING if part is None or not whole else f"{100 * part / whole:.0f}\u202f%"


def score(value: float | None) -> str:
    """A share of 1 in percent with one decimal, without the sign."""
    return MISSING if value is None else f"{100 * value:.1f}"


def measure(value: float | None, metric: str) -> str:
    """A metric's value: shares in percent, log-likelihoods in nats."""
    if value is None or metric != LIKELIHOOD:
        return score(value)
    return f"{value:.2f}".replace("-", "\u2212")


def change(value: float | None, metric: str) -> str:
    """A difference of a metric's values, with its sign."""
    if value is None or metric != LIKELIHOOD:
        return signed(value)
    return f"{value:+.2f}".replace("-", "\u2212")


def signed(value: float | None) -> str:
    """A difference of shares in percentage points."""
    return MISSING if value is None else f"{100 * value:+.1f}".replace("-", "\u2212")


def p_value(value: float | None) -> str:
    """A p-value with two significant digits; "< 0.001" below that."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.2g}"
