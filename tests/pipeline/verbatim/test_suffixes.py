"""Maximal spans by a suffix array, beside a search that tries everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.verbatim.suffixes import SuffixIndex, joined, suffix_array

Found = list[tuple[int, int, list[int]]]


def found(documents: list[list[int]], query: list[int]) -> Found:
    symbols = joined([np.array(one, dtype=np.int64) for one in documents])
    index = SuffixIndex(symbols, suffix_array(symbols))
    spans = index.spans(np.array(query, dtype=np.int64))
    return [(span.start, span.length, index.positions(span).tolist()) for span in spans]


def tried(documents: list[list[int]], query: list[int]) -> Found:
    starts = np.cumsum([0, *(len(one) + 1 for one in documents)])
    spans: Found = []
    reached = 0
    for start in range(len(query)):
        for end in range(len(query), max(start, reached), -1):
            wanted = query[start:end]
            places = [
                int(starts[n]) + at
                for n, one in enumerate(documents)
                for at in range(len(one) - len(wanted) + 1)
                if one[at : at + len(wanted)] == wanted
            ]
            if places:
                spans.append((start, len(wanted), places))
                reached = end
                break
    return spans


@pytest.mark.parametrize("shift", [0, 255, 65_530])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_spans_are_those_that_trying_everything_finds(shift: int, data: st.DataObject) -> None:
    texts = st.lists(st.integers(shift, shift + data.draw(st.integers(0, 9))), max_size=12)
    documents = data.draw(st.lists(texts, max_size=6))
    query = data.draw(texts)
    assert found(documents, query) == tried(documents, query)


def test_a_repeated_document_is_found_whole_beyond_the_first_reach() -> None:
    long = [1, 2, 3] * 100
    assert found([long, [], long], long) == [(0, 300, [0, 302])]


def test_nothing_runs_on_from_one_document_into_the_next() -> None:
    assert found([[1, 2], [3, 4]], [1, 2, 3, 4]) == [(0, 2, [0]), (2, 2, [3])]


def test_a_symbol_that_no_document_could_hold_ends_a_span() -> None:
    assert found([[1, 2]], [1, 2, 70_000, 1]) == [(0, 2, [0]), (3, 1, [0])]


def test_of_many_places_no_more_are_listed_than_asked_for() -> None:
    symbols = joined([np.array([5, 1, 5, 2, 5, 3])])
    index = SuffixIndex(symbols, suffix_array(symbols))
    [span] = index.spans(np.array([5]))
    assert span.places == 3
    assert index.positions(span, 2).tolist() == [0, 2]


def test_nothing_stands_in_no_documents() -> None:
    assert found([], [1]) == found([[], []], [1]) == found([[1]], []) == []
