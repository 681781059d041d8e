"""Words of texts in any script, for every measure that counts words.

A word is a run of letters, digits and combining marks. Scripts that put no blanks between words
(Chinese, Japanese, Thai, Lao, Khmer, Burmese) have no such runs: each letter of theirs, with its
marks, is a word of its own, as the multilingual SQuAD evaluation splits them (Lewis et al. 2020).
English is split as the libraries split it that the measures come from.
"""

from __future__ import annotations

import string
import unicodedata
from itertools import pairwise

import regex

_SOLID = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]&&\p{L}]"
"""A letter of a script without blanks."""
_WORD = regex.compile(rf"{_SOLID}\p{{M}}*|(?:(?!{_SOLID})[\p{{L}}\p{{N}}\p{{M}}_])+", regex.V1)
_PIECE = regex.compile(rf"{_SOLID}\p{{M}}*|(?:(?!{_SOLID})\S)+", regex.V1)
_SOLID_START = regex.compile(_SOLID, regex.V1)
_FORM, _LEAST_FORM = 3, 2
"""Words before an answer that make the form of a sentence."""
_ARTICLE = regex.compile(r"\b(a|an|the)\b")
_PUNCTUATION = regex.compile(rf"[{regex.escape(string.punctuation)}\p{{P}}]")


def words(text: str) -> list[str]:
    """The words in lower case; of letters that can be written in two ways, the composed one."""
    matches: list[str] = _WORD.findall(_plain(text))
    return matches


def rouge_words(text: str) -> list[str]:
    """Words as ROUGE's own tokenizer takes them: it parts words at "_", too."""
    return words(text.replace("_", " "))


def search_terms(text: str) -> list[str]:
    """Words to search by: of at least two letters, and where there are no blanks pairs of letters.

    Single letters of such scripts stand in too many texts to tell them apart. Elsewhere the terms
    are those of bm25s's and scikit-learn's tokenizers.
    """
    terms: list[str] = []
    run: list[str] = []
    end = -1
    text = _plain(text)
    for match in _WORD.finditer(text):
        word, solid = match.group(), _SOLID_START.match(match.group()) is not None
        if run and not (solid and match.start() == end):
            terms += _pairs(run)
            run = []
        if solid:
            run.append(word)
        elif len(word) > 1:
            terms.append(word)
        end = match.end()
    return terms + _pairs(run)


def _pairs(run: list[str]) -> list[str]:
    """Neighbours in a run of letters; a run of one is itself."""
    return [first + second for first, second in pairwise(run)] or run


def answer_words(text: str) -> list[str]:
    """Words without punctuation and English articles, as SQuAD's script compares answers."""
    return pieces(_ARTICLE.sub(" ", _PUNCTUATION.sub("", _plain(text))))


def pieces(text: str) -> list[str]:
    """What stands between blanks, punctuation and letter case kept; see `spans`."""
    return [text[start:end] for start, end in spans(text)]


def other_answer(prompt: str, completion: str, text: str) -> str | None:
    """What stands in a text where it has the prompt's last words, and another one follows than the
    completion's first: `flute` in "Tom plays the flute" for "Mara plays the" and "oboe".

    None unless that is sure: at least two words (the last three, or all of a prompt of two) stand
    there as they are, and nowhere in the text do they go on as the completion does.
    """
    before, answer, there = words(prompt)[-_FORM:], words(completion), words(text)
    if len(before) < _LEAST_FORM or not answer:
        return None
    ends = range(len(before), len(there))
    found = [there[end] for end in ends if there[end - len(before) : end] == before]
    return found[0] if found and answer[0] not in found else None


def spans(text: str) -> list[tuple[int, int]]:
    """Where the pieces of a text begin and end; letters of scripts without blanks are parted."""
    return [match.span() for match in _PIECE.finditer(text)]


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text.lower())
