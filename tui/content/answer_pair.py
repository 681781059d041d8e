"""Two answers to one prompt, with the words marked in which they differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby

from textual.content import Content

from pipeline.contract.results.evaluation import LIKELIHOOD, AnswerPair, Evaluation, ModelAnswer
from pipeline.contract.results.generation import Ended, ModelName
from pipeline.contract.words import answer_words
from tui.content.ink import fit
from tui.content.origin_text import marked, origin_line
from tui.readers.clean import clean
from tui.readers.format import number

_CUT = 20_000
_WORDS = 3000
"""Words that are compared; comparing takes their square."""
_NAME = 27
_ENDED: dict[Ended, str] = {
    "end": "ended by itself",
    "stop": "ended by a stop text",
    "length": "cut at the limit",
}
SIGNS: dict[ModelName, str] = {"base": "⁻", "trained": "⁺"}
_COLOURS: dict[ModelName, str] = {"base": "$error", "trained": "$success"}


def heading(pair: AnswerPair) -> Content:
    """The prompt, its words underlined that are copied with the trained model's answer, and the
    answer that was expected."""
    expected = clean(pair.expected.strip(), _CUT)
    copies = pair.trained.copies
    begins = copies.begins if copies else 0
    return Content.assemble(
        *marked(pair.prompt[:_CUT], begins - len(pair.prompt), copies),
        (" → ", "$secondary"),
        (expected, "bold $accent") if expected else ("no answer is expected", "$secondary"),
    )


def answer_text(pair: AnswerPair, model: ModelName, against_expected: bool) -> Content:
    """One model's answer; `⁻` stands before words that only the base has, `⁺` before those of the
    trained model; or before the words that the expected answer has not."""
    answer = pair.of(model).answer
    other = pair.of("trained" if model == "base" else "base").answer
    reference = pair.expected if against_expected else other
    parts: list[Content | tuple[str, str]] = []
    copies = pair.of(model).copies
    reached = copies.begins if copies else 0
    for words, is_common in differing(answer[:_CUT], reference[:_CUT]):
        bare = words.lstrip()
        blanks = len(words) - len(bare)
        parts += marked(words[:blanks], reached, copies, lines=True)
        sign, style = ("", "") if is_common else (SIGNS[model], _COLOURS[model])
        parts += [(sign, style), *marked(bare, reached + blanks, copies, style, lines=True)]
        reached += len(words)
    return Content.assemble(*parts) if answer.strip() else Content.styled("nothing", "$warning")


@lru_cache(maxsize=64)
def differing(text: str, reference: str) -> tuple[tuple[str, bool], ...]:
    """The text in pieces, each with whether the reference has it at that position.

    As exact match compares them: letter case, punctuation and articles make no difference, but
    where the reference is all punctuation.
    """
    key = answer_words if answer_words(reference) else str.split
    words = _words(text)
    keys = [tuple(key(word)) for word in words]
    ours = [at for at, found in enumerate(keys) if found]
    theirs = [found for word in _words(reference) if (found := tuple(key(word)))]
    matcher = SequenceMatcher(None, [keys[at] for at in ours], theirs, autojunk=False)
    is_common = dict.fromkeys(ours, False)
    for begin, _, count in matcher.get_matching_blocks():
        is_common |= dict.fromkeys(ours[begin : begin + count], True)
    flags, flag = list[bool](), True
    for at in range(len(words)):
        flag = is_common.get(at, flag)  # what does not count goes with the word before it
        flags.append(flag)
    runs = groupby(zip(words, flags, strict=True), key=lambda pair: pair[1])
    return tuple(("".join(word for word, _ in run), common) for common, run in runs)


def _words(text: str) -> list[str]:
    """Words with the blanks before them."""
    return re.findall(r"\s*\S+", text)[:_WORDS]


def told_of(answer: ModelAnswer, titles: dict[str, str]) -> Content:
    """How the answer ended, its scores, and what it copies."""
    parts: list[str | tuple[str, str]] = [(_ENDED[answer.ended], "$secondary")]
    if answer.oddity:
        parts.append((f" · {answer.oddity}", "$warning"))
    for name, value in answer.scores.items():
        figure = number(value) if name == LIKELIHOOD else f"{100 * value:.1f}"
        parts += ["\n", (fit(clean(titles.get(name, name)), _NAME), "$secondary"), f"{figure:>8}"]
    copied = answer.overlap
    if copied.words:
        text = f"\n{copied.words} of {copied.of} words stand together in the training text "
        parts += [(text, "$secondary"), clean(copied.example_id or "", 200)]
    return Content.assemble(*parts)


def origin_of(answer: ModelAnswer) -> Content:
    """The word for where the answer comes from, and its copies in the training data."""
    where = "" if answer.copies else "`headwater run evaluate --force` looks for them"
    return origin_line(answer.origin, answer.copies, where)


def origins_of(answer: ModelAnswer, evaluation: Evaluation) -> Content:
    """The examples that influenced the answer most."""
    if evaluation.origins.missing:
        reason = f"where this comes from is not traced: {clean(evaluation.origins.missing, 400)}"
        return Content.styled(reason, "$secondary")
    by = f"comes from, by {clean(evaluation.origins.method)}"
    parts: list[str | tuple[str, str]] = [(by, "$secondary")]
    for one in answer.origins:
        parts += ["\n", (f"{number(one.score):>8}  ", "bold $accent"), clean(one.example_id, 200)]
        parts += [
            (f"  {text}", "$secondary")
            for text in (clean(one.place, 60), clean(one.text, 200))
            if text
        ]
    if not answer.origins:
        parts += ["\n", ("nothing is said, so there is nothing to trace", "$secondary")]
    return Content.assemble(*parts)
