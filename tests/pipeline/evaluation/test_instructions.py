"""IFEval's instructions: an answer that keeps each, and one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from deepeval.benchmarks.ifeval.ifeval import IFEvalInstructionVerifier

from pipeline.evaluation.instructions import INSTRUCTIONS, check, kept

ENGLISH = "the old miller of this village sells bread and salt to the people who live there"
FRENCH = "le vieux meunier de ce village vend du pain et du sel aux gens qui y habitent"

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["Salt", "c++"]}, "C++ and salt", "salt alone"),
    ("keywords:frequency", {"keyword": "salt", "frequency": 2, "relation": "at least"},
     "Salt and salt", "salt"),
    ("keywords:frequency", {"keyword": "salt", "frequency": 2, "relation": "less than"},
     "salt", "salt salt"),
    ("keywords:forbidden_words", {"forbidden_words": ["salt"]}, "salty", "No Salt."),
    ("keywords:letter_frequency", {"letter": "L", "let_frequency": 2, "let_relation": "at least"},
     "Lily", "Ann"),
    ("language:response_language", {"language": "fr"}, FRENCH, ENGLISH),
    ("language:response_language", {"language": "fr"}, FRENCH, "1066 …"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"},
     "Mr. Ann came. She left!", "Mr. Ann came at 3.5 km/h."),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2},
     "one\n***\ntwo", "one\n***\n***\ntwo"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"},
     "two words", "three plain words"),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Two"},
     "one is\n\n'two', then", "two is\n\none, then"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2},
     "[name] of [place]", "[name] of"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye.\nP. S. Ann", "Bye."),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "p.p.s more", "P.S. more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2},
     "* one\n- two", "* one\n- two\n* three"),
    ("detectable_format:constrained_response", {}, "Well. My answer is no.", "My answer is: no"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
     "*one* and *two*", "*one* and **"),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2},
     "Section 1 a\nSection 2 b", "Section 1 a"),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{'a': 1}"),
    ("detectable_format:title", {}, "<<Salt>>\nIt is white.", "<< >>\nIt is white."),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Sell salt."}, "sell salt. Yes.", "Yes."),
    ("startend:end_checker", {"end_phrase": "Is that all?"}, '"So. is that all?" ', "All."),
    ("startend:quotation", {}, '"two\nlines"', '"'),
    ("change_case:capital_word_frequency",
     {"capital_frequency": 2, "capital_relation": "at least"}, "SALT is NEVER sweet", "SALT is"),
    ("change_case:english_capital", {}, ENGLISH.upper(), FRENCH.upper()),
    ("change_case:english_lowercase", {}, ENGLISH, ENGLISH.capitalize()),
    ("punctuation:no_comma", {}, "a b", "a, b"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "keeps", "breaks"), CASES)
def test_each_instruction_is_told_kept_from_broken(
    name: str, arguments: dict[str, Any], keeps: str, breaks: str
) -> None:
    check(name, arguments)
    assert kept(keeps, name, arguments)
    assert not kept(breaks, name, arguments)
    assert not kept(" \n", name, arguments)


def test_all_instructions_are_tried_here() -> None:
    assert {name for name, *_ in CASES} == set(INSTRUCTIONS)


def test_deepeval_does_not_know_the_hubs_names_and_takes_broken_for_kept() -> None:
    verify = IFEvalInstructionVerifier.verify_instruction_compliance
    taken_for_kept = [name for name, arguments, _, _ in CASES if verify("", name, arguments)[0]]
    assert len(taken_for_kept) >= 14
    assert not verify(FRENCH, "language:response_language", {"language": "fr"})[0]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("keywords:must_include", {}, "there is no instruction 'keywords:must_include'; valid: "),
        ("punctuation:no_comma", {"num_words": 3}, "takes the arguments none, not num_words"),
        ("keywords:existence", {}, "takes the arguments keywords, not none"),
        ("length_constraints:number_words", {"num_words": 3, "relation": "exactly"},
         "relation = 'exactly'; valid: less than, at least"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_refused(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(name, arguments)
