"""Numbers in written answers, compared by their value: "−3" is -3, "2.50" is 2.5, "$1,200" 1200."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

_MINUS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"))
"""Signs that are written for a minus, among them those of word processors."""
_NUMBER = re.compile(r"(?<![\w)])-?\$?-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)|\d[\d,]*(?:\.\d+)?")
_WHOLE_NUMBER = re.compile(r"(?<!\w)-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?!\w)")


def numbers_in(text: str) -> list[str]:
    """The numbers in a text, in its order, each spelled by `plain_number`."""
    return [plain_number(found) for found in _NUMBER.findall(_plain(text))]


def plain_number(text: str) -> str:
    """The one spelling of a number; what is none comes back without blanks, "$" and ","."""
    plain = re.sub(r"[$,\s]", "", _plain(text)).rstrip(".")
    try:
        value = Decimal(plain)
    except InvalidOperation:
        return plain
    if not value.is_finite():
        return plain
    return format(value.normalize() + 0, "f") if value else "0"


def with_spelled_numbers(text: str) -> str:
    """The text with every number as a word of its value that survives the loss of punctuation.

    Comparisons that drop punctuation take "-3" for "3" and "2.5" for "25" otherwise.
    """

    def spelled(match: re.Match[str]) -> str:
        return plain_number(match.group()).replace("-", "minus").replace(".", "point")

    return _WHOLE_NUMBER.sub(spelled, _plain(text))


def _plain(text: str) -> str:
    """With ASCII's digits and minus."""
    if text.isascii():
        return text
    digits = (str(unicodedata.digit(c)) if c.isdigit() and c.isdecimal() else c for c in text)
    return "".join(digits).translate(_MINUS)
