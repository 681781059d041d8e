"""Two answers to one prompt, with the words marked in which they differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

from textual.content import Content

from pipeline.contract.results.evaluation import LIKELIHOOD, AnswerPair, Evaluation, ModelAnswer
from pipeline.contract.results.generation import Ended, ModelName
from tui.content.ink import fit
from tui.readers.clean import clean, clean_lines
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
    """The prompt and the answer that was expected."""
    expected = clean(pair.expected.strip(), _CUT)
    return Content.assemble(
        clean(pair.prompt, _CUT),
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
    for words, is_common in differing(answer[:_CUT], reference[:_CUT]):
        text = clean_lines(words)
        if is_common:
            parts.append(Content(text))
        else:
            bare = text.lstrip()
            parts += [
                Content(text[: len(text) - len(bare)]),
                (SIGNS[model] + bare, _COLOURS[model]),
            ]
    return Content.assemble(*parts) if answer.strip() else Content.styled("nothing", "$warning")


@lru_cache(maxsize=64)
def differing(text: str, reference: str) -> tuple[tuple[str, bool], ...]:
    """The text in pieces, each with whether the reference has it at that position."""
    words, others = _words(text), _words(reference)
    matcher = SequenceMatcher(None, [w.strip() for w in words], [w.strip() for w in others], False)
    pieces = list[tuple[str, bool]]()
    for tag, begin, end, _, _ in matcher.get_opcodes():
        if end > begin:
            pieces.append(("".join(words[begin:end]), tag == "equal"))
    return tuple(pieces)


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
