"""Ids that stay when files are moved, sorted or joined."""

from __future__ import annotations

import random

from pipeline.corpus.ids import DocumentIds
from pipeline.corpus.readers import Document
from pipeline.corpus.rows import Row


def document(text: str, number: int = 0, name: str = "") -> Document:
    return Document(text, name, Row("a.jsonl", number, {}, line=number + 1))


def test_made_ids_depend_on_the_text_alone() -> None:
    texts = [f"text {number}" for number in range(50)]
    shuffled = random.Random(0).sample(texts, 50)
    ids, others = DocumentIds(), DocumentIds()
    given = {text: ids.assign(document(text, n)) for n, text in enumerate(texts)}
    assert {text: others.assign(document(text, n)) for n, text in enumerate(shuffled)} == given
    assert len(set(given.values())) == len(ids) == 50


def test_made_ids_are_the_same_on_every_machine_and_day() -> None:
    assert DocumentIds().assign(document("Gruß")) == "6275b84718e71b17"


def test_exact_copies_are_numbered() -> None:
    ids = DocumentIds()
    first, second, third = (ids.assign(document("same", n)) for n in range(3))
    assert (second, third) == (f"{first}-2", f"{first}-3")


def test_the_users_ids_are_kept_and_known() -> None:
    ids = DocumentIds()
    assert ids.assign(document("x", name="patent 7")) == "patent 7"
    assert "patent 7" in ids
    assert "patent 8" not in ids


def test_a_duplicate_id_names_both_rows() -> None:
    ids = DocumentIds()
    ids.assign(document("x", 3, "k"))
    assert ids.conflict(document("y", 8, "k")).startswith("id 'k' is taken already, by a.jsonl:4")
    assert not ids.conflict(document("y", 8, "l"))
    assert not ids.conflict(document("x", 8))
