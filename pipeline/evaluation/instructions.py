"""IFEval's instructions, of which a program can tell whether an answer keeps them.

Source: J. Zhou et al., Instruction-Following Evaluation for Large Language Models (2023), and the
code published with it for what the paper leaves open. Sentences and words are NLTK's, with a short
list of abbreviations in place of its models, which would have to be downloaded.
"""

from __future__ import annotations

import inspect
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from langdetect import LangDetectException
from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "less than": operator.lt,
    "at least": operator.ge,
}
_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_ABBREVIATIONS = {
    "dr",
    "e.g",
    "etc",
    "i.e",
    "jr",
    "mr",
    "mrs",
    "ms",
    "no",
    "prof",
    "sr",
    "st",
    "vs",
}


def kept(answer: str, name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether an answer keeps an instruction of `INSTRUCTIONS`; an empty one keeps none."""
    return bool(answer.strip()) and INSTRUCTIONS[name](answer, **arguments)


def check(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuses what `kept` could not decide.

    Raises:
        ValueError: the instruction is unknown, or takes other arguments.
    """
    if name not in INSTRUCTIONS:
        raise ValueError(f"there is no instruction {name!r}; valid: {', '.join(INSTRUCTIONS)}")
    taken = list(inspect.signature(INSTRUCTIONS[name]).parameters)[1:]
    if sorted(arguments) != sorted(taken):
        given = ", ".join(arguments) or "none"
        raise ValueError(f"{name} takes the arguments {', '.join(taken) or 'none'}, not {given}")
    for argument, value in arguments.items():
        if argument.endswith("relation") and value not in _RELATIONS:
            raise ValueError(f"{argument} = {value!r}; valid: {', '.join(_RELATIONS)}")


def _existence(answer: str, keywords: Sequence[str]) -> bool:
    return all(word.lower() in answer.lower() for word in keywords)


def _frequency(answer: str, keyword: str, frequency: int, relation: str) -> bool:
    return _RELATIONS[relation](answer.lower().count(keyword.lower()), frequency)


def _forbidden_words(answer: str, forbidden_words: Sequence[str]) -> bool:
    words = (re.escape(word) for word in forbidden_words)
    return not any(re.search(rf"\b{word}\b", answer, re.IGNORECASE) for word in words)


def _letter_frequency(answer: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return _RELATIONS[let_relation](answer.lower().count(letter.lower()), let_frequency)


def _response_language(answer: str, language: str) -> bool:
    detector = _languages().create()
    detector.append(answer)
    try:
        return bool(detector.detect() == language)
    except LangDetectException:  # there is no word in it
        return False


@cache
def _languages() -> Any:
    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(0)
    return factory


def _number_sentences(answer: str, num_sentences: int, relation: str) -> bool:
    return _RELATIONS[relation](len(_sentences(answer)), num_sentences)


def _sentences(text: str) -> list[str]:
    parameters = PunktParameters()
    parameters.abbrev_types = _ABBREVIATIONS
    sentences: list[str] = PunktSentenceTokenizer(parameters).tokenize(text)
    return sentences


def _number_paragraphs(answer: str, num_paragraphs: int) -> bool:
    """Paragraphs are parted by "***"."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", answer)]
    return all(parts[1:-1]) and sum(map(bool, parts)) == num_paragraphs


def _number_words(answer: str, num_words: int, relation: str) -> bool:
    return _RELATIONS[relation](len(re.findall(r"\w+", answer)), num_words)


def _nth_paragraph_first_word(
    answer: str, num_paragraphs: int, nth_paragraph: int, first_word: str
) -> bool:
    """Paragraphs are parted by empty lines."""
    parts = [part.strip() for part in answer.split("\n\n")]
    count = sum(map(bool, parts))
    if count != num_paragraphs or nth_paragraph > count or not parts[nth_paragraph - 1]:
        return False
    word = parts[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    return re.split("[.,?!'\"]", word)[0].lower() == first_word.lower()


def _number_placeholders(answer: str, num_placeholders: int) -> bool:
    return len(re.findall(r"\[.*?\]", answer)) >= num_placeholders


def _postscript(answer: str, postscript_marker: str) -> bool:
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    marker = known.get(postscript_marker, re.escape(postscript_marker.lower()))
    return re.search(marker, answer.lower()) is not None


def _number_bullet_lists(answer: str, num_bullets: int) -> bool:
    return len(re.findall(r"^\s*(?:\*[^*].*|-.*)$", answer, re.MULTILINE)) == num_bullets


def _constrained_response(answer: str) -> bool:
    return any(one in answer for one in _ANSWERS)


def _number_highlighted_sections(answer: str, num_highlights: int) -> bool:
    once = re.findall(r"\*[^\n*]*\*", answer)
    twice = re.findall(r"\*\*[^\n*]*\*\*", answer)
    return sum(bool(section.strip("*").strip()) for section in once + twice) >= num_highlights


def _multiple_sections(answer: str, section_spliter: str, num_sections: int) -> bool:
    heads = re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", answer)
    return len(heads) >= num_sections


def _json_format(answer: str) -> bool:
    plain = re.sub(r"^```(?:json|Json|JSON)?|```$", "", answer.strip())
    try:
        json.loads(plain)
    except (ValueError, RecursionError):
        return False
    return True


def _title(answer: str) -> bool:
    titles = re.findall(r"<<[^\n]+>>", answer)
    return any(title.lstrip("<").rstrip(">").strip() for title in titles)


def _two_responses(answer: str) -> bool:
    parts = [part.strip() for part in answer.split("******")]
    responses = [part for part in parts if part]
    return all(parts[1:-1]) and len(responses) == 2 and responses[0] != responses[1]


def _repeat_prompt(answer: str, prompt_to_repeat: str) -> bool:
    return answer.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _end_checker(answer: str, end_phrase: str) -> bool:
    return answer.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _quotation(answer: str) -> bool:
    return re.fullmatch('".*"', answer.strip(), re.DOTALL) is not None


def _capital_word_frequency(answer: str, capital_frequency: int, capital_relation: str) -> bool:
    tokenize = NLTKWordTokenizer().tokenize
    words = (word for sentence in _sentences(answer) for word in tokenize(sentence))
    return _RELATIONS[capital_relation](sum(word.isupper() for word in words), capital_frequency)


def _english_capital(answer: str) -> bool:
    return answer.isupper() and _response_language(answer, "en")


def _english_lowercase(answer: str) -> bool:
    return answer.islower() and _response_language(answer, "en")


def _no_comma(answer: str) -> bool:
    return "," not in answer


INSTRUCTIONS: dict[str, Callable[..., bool]] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _response_language,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph_first_word,
    "detectable_content:number_placeholders": _number_placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _number_bullet_lists,
    "detectable_format:constrained_response": _constrained_response,
    "detectable_format:number_highlighted_sections": _number_highlighted_sections,
    "detectable_format:multiple_sections": _multiple_sections,
    "detectable_format:json_format": _json_format,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeat_prompt,
    "startend:end_checker": _end_checker,
    "startend:quotation": _quotation,
    "change_case:capital_word_frequency": _capital_word_frequency,
    "change_case:english_capital": _english_capital,
    "change_case:english_lowercase": _english_lowercase,
    "punctuation:no_comma": _no_comma,
}
"""The 25 instructions of google/IFEval; their arguments are named as its rows name them."""
