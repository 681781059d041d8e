"""Finds examples by words of their text, by a part of their id, by their near-duplicate group."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.results.lookup import Mask
from tui.readers.clean import clean
from tui.readers.sources import Examples

_NO_GROUP = -2
_WORD = re.compile(r"\w+")


def matching(corpus: Examples, query: str) -> Mask | None:
    """Which examples [N] a filter leaves: those that hold all of its words. None: it says nothing.

    `id:doc-12` looks for a part of the id, `group:7` for a near-duplicate group. A word is found
    within longer ones, in any case.
    """
    masks = [mask for term in query.split() for mask in _masks(corpus, term)]
    return np.logical_and.reduce(masks) if masks else None


def told(query: str) -> str:
    """`with “river”`; of what stands in no word, that it is not looked for."""
    terms = [term for term in query.split() if not term.startswith(("id:", "group:"))]
    wordless = " ".join(term for term in terms if not _WORD.search(term))
    if wordless:
        return f"“{clean(wordless, 30)}” is not looked for: it has no letter and no digit"
    return f"with “{clean(query, 30)}”"


def _masks(corpus: Examples, term: str) -> list[Mask]:
    kind, colon, value = term.partition(":")
    if colon and kind == "id":
        return [_mask(corpus, corpus.named(value))] if value else []
    if colon and kind == "group":
        number = int(value) if value.isdecimal() else _NO_GROUP
        return [corpus.groups == number] if value else []
    return [corpus.holding(word) for word in _WORD.findall(term.casefold())]


def _mask(corpus: Examples, positions: NDArray[np.integer]) -> Mask:
    mask = np.zeros(len(corpus), bool)
    mask[positions] = True
    return mask
