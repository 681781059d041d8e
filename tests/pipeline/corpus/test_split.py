"""The held-out documents: how many, which, and never a copy of a training text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline.contract.errors import SettingsError
from pipeline.corpus.split import held_out, named_documents

NAMES = [f"doc-{number}" for number in range(400)]
ALONE = [-1] * len(NAMES)


def anyone(name: str) -> bool:
    return True


def test_the_fraction_is_held_out() -> None:
    assert len(held_out(NAMES, ALONE, 0.05, 0, anyone)) == 20
    assert held_out(NAMES, ALONE, 0.0, 0, anyone) == set()


def test_the_seed_decides_and_not_the_order_of_the_rows() -> None:
    chosen = held_out(NAMES, ALONE, 0.1, 0, anyone)
    shuffled = random.Random(1).sample(NAMES, len(NAMES))
    assert held_out(shuffled, ALONE, 0.1, 0, anyone) == chosen
    assert held_out(NAMES, ALONE, 0.1, 1, anyone) != chosen


def test_more_documents_leave_most_of_the_choice_as_it_was() -> None:
    before = held_out(NAMES[:300], ALONE[:300], 0.1, 0, anyone)
    after = held_out(NAMES, ALONE, 0.1, 0, anyone)
    assert len(before & after) >= 0.8 * len(before)


def test_near_duplicates_stay_on_one_side() -> None:
    groups = [number // 4 for number in range(len(NAMES))]
    chosen = held_out(NAMES, groups, 0.2, 0, anyone)
    assert len(chosen) == 80
    for start in range(0, len(NAMES), 4):
        assert len(chosen & set(NAMES[start : start + 4])) in (0, 4)


def test_one_shared_chunk_keeps_whole_documents_together() -> None:
    # a and b share a chunk, b and c another one; d stands alone, in two chunks
    documents = ["a", "a", "b", "b", "c", "d", "d"]
    groups = [0, -1, 0, 1, 1, -1, -1]
    for seed in range(20):
        chosen = held_out(documents, groups, 0.75, seed, anyone)
        assert chosen in ({"d"}, {"a", "b", "c"})


def test_training_always_keeps_something() -> None:
    assert len(held_out(NAMES[:5], ALONE[:5], 0.99, 0, anyone)) == 4
    assert held_out(["only"], [-1], 0.9, 0, anyone) == set()
    assert held_out(["a", "b"], [0, 0], 0.5, 0, anyone) == set()


def test_some_documents_may_not_leave_nor_may_their_copies() -> None:
    groups = [0 if name in ("doc-1", "doc-2") else -1 for name in NAMES]
    chosen = held_out(NAMES, groups, 0.99, 0, lambda name: name != "doc-1")
    assert set(NAMES) - chosen >= {"doc-1", "doc-2"}
    assert len(chosen) >= 390


@pytest.mark.parametrize("text", [None, "", '{"id": 1}', "[1, 2]"])
def test_a_file_that_names_no_documents_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ids.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match="is no JSON list of document ids"):
        named_documents(path)
