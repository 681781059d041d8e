"""The filter of a list of runs: `loss<0.6 tag:best state:done -word "two words"`.

Every term must hold. A word is looked for in all texts of a run; a minus before a term turns it
around. A run that lacks a figure never fulfils a comparison of it.
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.contract.errors import UsageError
from tui.readers.run_facts import RunFacts

EXAMPLE = "loss<0.6 tag:best state:done -word"

TEXTS: Mapping[str, Callable[[RunFacts], tuple[str, ...]]] = {
    "run": lambda facts: (facts.run,),
    "state": lambda facts: (facts.state,),
    "stage": lambda facts: (facts.stage,),
    "model": lambda facts: (facts.model,),
    "data": lambda facts: (facts.data,),
    "tag": lambda facts: facts.remarks.tags,
    "note": lambda facts: (facts.remarks.note,),
}
"""Fields that hold text: `field:value`."""
NUMBERS: Mapping[str, Callable[[RunFacts], float | None]] = {
    "loss": lambda facts: facts.figures.loss,
    "train_loss": lambda facts: facts.figures.train_loss,
    "mrr": lambda facts: facts.figures.mrr,
    "lds": lambda facts: facts.figures.lds,
    "age": lambda facts: max(0.0, time.time() - facts.time),
    "size": lambda facts: facts.size,
}
"""Fields that hold numbers, compared: `loss<0.6`, `age<2d`, `size>1G`."""
FIELDS = (*TEXTS, *NUMBERS)
_UNITS: Mapping[str, Mapping[str, float]] = {
    "age": {"": 3600, "m": 60, "h": 3600, "d": 86400},
    "size": {"": 1 << 20, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40},
}
"""Field → its units: hours and MiB where none is named."""
_WHOLE = ("state", "tag")
"""Text fields that are the value, where others hold it somewhere."""
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    ":": operator.eq,
    "!=": operator.ne,
}
_FIELD = re.compile(r"([A-Za-z_][A-Za-z_0-9]*)(<=|>=|!=|<|>|=|:)(.*)", re.DOTALL)
_PIECE = re.compile(r'"([^"]*)("?)|([^\s"]+)')
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d{1,3})?)([a-z]?)(?:i?b)?", re.IGNORECASE)

Test = Callable[[RunFacts], bool]


class FilterError(UsageError):
    """A filter cannot be read; the message says where, and what there is."""


@dataclass(frozen=True)
class Filter:
    """Which runs are kept."""

    tests: tuple[Test, ...] = ()

    def __call__(self, facts: RunFacts) -> bool:
        """Whether a run is."""
        return all(test(facts) for test in self.tests)


EVERYTHING = Filter()


def parse(text: str) -> Filter:
    """Reads a filter.

    Raises:
        FilterError: a quote is not closed, a field is unknown, or a number is none.
    """
    return Filter(tuple(map(_test, _terms(text))))


@dataclass
class _Term:
    """One term as it is written, without its quotes."""

    text: str
    negated: bool = False
    quoted: bool = False
    """Whether it is words whatever they look like."""


def _terms(text: str) -> list[_Term]:
    terms = list[_Term]()
    end = -1
    for match in _PIECE.finditer(text):
        quoted = match[3] is None
        if quoted and not match[2]:
            raise FilterError(f"a quote is not closed: {match[0]}")
        piece = match[1] if quoted else match[3]
        if match.start() == end:  # it goes on, as in tag:"a b" and -"a b"
            terms[-1].quoted |= quoted and not terms[-1].text
            terms[-1].text += piece
        else:
            negated = not quoted and piece.startswith("-") and text[match.start() :] != "-"
            terms.append(_Term(piece[negated:], negated, quoted))
        end = match.end()
    return terms


def _test(term: _Term) -> Test:
    inner = _positive(term.text, term.quoted)
    return (lambda facts: not inner(facts)) if term.negated else inner


def _positive(term: str, words: bool) -> Test:
    match = None if words else _FIELD.fullmatch(term)
    if match is None:
        folded = term.casefold()
        return lambda facts: folded in _all_text(facts)
    field, sign, value = match[1].lower(), match[2], match[3]
    if field not in FIELDS:
        raise FilterError(f"there is no field {match[1]!r}; fields: {', '.join(FIELDS)}")
    return _text_test(field, sign, value) if field in TEXTS else _number_test(field, sign, value)


def _all_text(facts: RunFacts) -> str:
    return " ".join(part for read in TEXTS.values() for part in read(facts)).casefold()


def _text_test(field: str, sign: str, value: str) -> Test:
    if sign not in (":", "=", "!="):
        numbers = ", ".join(NUMBERS)
        raise FilterError(f"{field} is text: {field}:word; numbers are {numbers}")
    if not value:
        raise FilterError(f'{field}{sign} what? {field}:word, or {field}:"some words"')
    read, folded = TEXTS[field], value.casefold()

    def holds(facts: RunFacts) -> bool:
        texts = (text.casefold() for text in read(facts))
        return any(folded == text if field in _WHOLE else folded in text for text in texts)

    return (lambda facts: not holds(facts)) if sign == "!=" else holds


def _number_test(field: str, sign: str, value: str) -> Test:
    units = _UNITS.get(field, {"": 1})
    match = _NUMBER.fullmatch(value)
    if match is None or match[2].lower() not in units:
        named = ", ".join(filter(None, units))
        how = f" with {named} behind it" if named else ""
        raise FilterError(f"{field} is compared with a number{how}: {field}<{_LIKE[field]}")
    wanted = float(match[1]) * units[match[2].lower()]
    read, compare = NUMBERS[field], _COMPARISONS[sign]
    return lambda facts: (found := read(facts)) is not None and compare(found, wanted)


_LIKE = {"age": "2d", "size": "1G"} | dict.fromkeys(("loss", "train_loss", "mrr", "lds"), "0.6")
