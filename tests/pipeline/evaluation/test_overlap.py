"""Verbatim overlap with the training text."""

from __future__ import annotations

from pipeline.evaluation.overlap import Overlap, longest_overlaps

CORPUS = ["the river runs past the old mill", "a baker sells bread", "past the old barn and on"]


def test_the_longest_run_of_words_is_found_with_its_document() -> None:
    found = longest_overlaps(["it went past the old mill today", "the baker sells"], CORPUS)
    assert found == [Overlap(4, "past the old mill", 0), Overlap(2, "baker sells", 1)]


def test_nothing_runs_on_from_one_document_into_the_next() -> None:
    (found,) = longest_overlaps(["bread past the"], CORPUS)
    assert (found.words, found.text) == (2, "past the")


def test_an_answer_of_strange_words_or_none_shares_nothing() -> None:
    assert longest_overlaps(["xyzzy", ""], CORPUS) == [Overlap(0, "", None)] * 2
    assert longest_overlaps(["the"], []) == [Overlap(0, "", None)]


def test_a_copied_document_is_found_whole() -> None:
    (found,) = longest_overlaps([CORPUS[2]], CORPUS)
    assert found == Overlap(6, CORPUS[2], 2)
