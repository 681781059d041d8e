"""Words of every script; those of English are the libraries' own."""

from __future__ import annotations

import unicodedata

import bm25s
import pytest
from rouge_score import tokenize as rouge

from pipeline.contract.words import answer_words, pieces, rouge_words, search_terms, words

SENTENCES = {
    "Russian": ("Река течёт мимо мельницы", 4),
    "Greek": ("Ο ποταμός κυλά", 3),
    "Hindi": ("नदी पहाड़ों से निकलती है", 5),
    "Arabic": ("يجري النهر إلى البحر", 4),
    "Hebrew": ("הנהר זורם לים", 3),
    "Korean": ("강은 바다로 흐른다", 3),
    "Vietnamese": ("Con sông chảy ra biển", 5),
    "Chinese": ("河流入海。", 4),
    "Japanese": ("川はゆっくり流れる。", 9),
    "Thai": ("แม่น้ำไหล", 7),
    "Khmer": ("ទន្លេ", 3),
}
ENGLISH = [
    "The river's mouth isn't far: 3.5 km, said \"Mr. O'Neil\" (who'd know).",
    "snake_case and CamelCase, e-mail a@b.c, x = y_1 + 20%",
    "A an the THE Theory; an-other   tab\tand\nline",
    "",
    "...",
    "I a 7",
]


@pytest.mark.parametrize("language", SENTENCES)
def test_every_script_has_words(language: str) -> None:
    sentence, count = SENTENCES[language]
    assert len(words(sentence)) == len(rouge_words(sentence)) == count
    assert answer_words(sentence)
    assert search_terms(sentence)
    decomposed = unicodedata.normalize("NFD", sentence)
    assert words(decomposed) == words(sentence)


@pytest.mark.parametrize("text", ENGLISH)
def test_english_words_are_those_of_the_libraries(text: str) -> None:
    assert rouge_words(text) == rouge.tokenize(text, None)
    terms = bm25s.tokenize([text], stopwords=None, return_ids=False, show_progress=False)[0]
    assert search_terms(text) == terms
    assert pieces(text) == text.split()


def test_answers_are_compared_as_in_squad() -> None:
    assert answer_words("The “Eiffel” Tower, a tower!") == ["eiffel", "tower", "tower"]
    assert answer_words("don't") == ["dont"]
    assert answer_words("《论语》、孟子") == ["论", "语", "孟", "子"]


def test_pairs_of_letters_are_searched_where_there_are_no_blanks() -> None:
    assert search_terms("河流入海 GPU 山 x") == ["河流", "流入", "入海", "gpu", "山"]
    assert pieces("GPU用の部品 (x) など") == [
        *("GPU", "用", "の", "部", "品", "(x)", "な", "ど"),
    ]
