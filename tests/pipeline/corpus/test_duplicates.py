"""Near-duplicates: what is grouped, what is not, and in what time."""

from __future__ import annotations

import random
import time

import pytest

from pipeline.corpus.duplicates import DuplicateIndex, components, shingles

RANDOM = random.Random(0)
WORDS = [f"w{number}" for number in range(2000)]


def prose(words: int) -> str:
    return " ".join(RANDOM.choices(WORDS, k=words))


def groups(texts: list[str], threshold: float = 0.8) -> list[int]:
    index = DuplicateIndex(threshold)
    for start in range(0, len(texts), 7):  # batches must not matter
        index.add(texts[start : start + 7])
    return index.groups()


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.8, 0.95, 1.0])
def test_exact_copies_always_share_a_group(threshold: float) -> None:
    copied, short, other = prose(300), "Yes.", prose(300)
    found = groups([copied, other, short, copied, short, copied], threshold)
    assert found == [0, -1, 1, 0, 1, 0]


def test_small_edits_keep_a_text_in_its_group_and_large_ones_do_not() -> None:
    texts, expected = [], []
    for group in range(40):
        words = prose(400).split()
        edited, rewritten = words.copy(), words.copy()
        edited[200] = "edited"  # 5 of 396 5-grams change: Jaccard 0.975
        for position in range(0, 400, 8):  # 250 change: Jaccard 0.23
            rewritten[position] = "rewritten"
        texts += [" ".join(words), " ".join(edited), " ".join(rewritten)]
        expected += [group, group, -1]
    assert groups(texts) == expected


def test_case_and_punctuation_make_no_difference() -> None:
    text = "The river rises in the hills, and falls into the sea."
    assert groups([text, text.upper().replace(",", " -")]) == [0, 0]


def test_texts_without_a_word_are_not_taken_for_one_another() -> None:
    assert groups(["!!!", "???", "😀", "!!!"]) == [0, -1, -1, 0]


def test_short_texts_are_compared_as_a_whole() -> None:
    assert shingles("Only three words") == [b"only three words"]
    assert groups(["a b c", "a b d", "a b c!"]) == [0, -1, 0]
    assert len(shingles("one two three four five six")) == 2


def test_groups_are_chained_and_numbered_by_first_appearance() -> None:
    words = prose(300).split()
    chain = [" ".join(words[start : start + 200]) for start in range(0, 60, 10)]
    stranger = prose(200)
    # neighbours share 186 of 206 5-grams, the first and the last only 146 of 246
    assert groups([stranger, stranger, *chain]) == [0, 0, 1, 1, 1, 1, 1, 1]


def test_no_texts_have_no_groups() -> None:
    assert groups([]) == []
    assert components(3, [(0, 2)]) == [0, 1, 0]


def test_many_copies_of_one_text_take_no_longer_than_as_many_texts() -> None:
    text = prose(50)
    begun = time.process_time()
    assert groups([text] * 5000) == [0] * 5000
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "letters",
    ["河流入海水山石田土木林森火金月日", "กขคงจฉชซญดตถทนบ", "あいうえおかきくけこさしすせ"],
    ids=["Chinese", "Thai", "Japanese"],
)
def test_small_edits_are_found_where_there_are_no_blanks(letters: str) -> None:
    drawn = random.Random(1)
    first, other = ("".join(drawn.choices(letters, k=400)) for _ in range(2))
    assert groups([first, f"{first[:200]}。{first[201:]}", other]) == [0, 0, -1]
