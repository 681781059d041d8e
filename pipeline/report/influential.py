"""The examples behind each answer with their full text, the most influential tokens marked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from pipeline.contract.results.generation import read_generated_answers
from pipeline.contract.results.origin import FIRST
from pipeline.contract.results.rankings import (
    End,
    RankedExample,
    Tracer,
    rankings_path,
    read_rankings,
)
from pipeline.contract.results.tokens import TokenScores, read_token_scores
from pipeline.contract.results.written import was_written
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.wording import shorten
from pipeline.report.text import figure, markdown, visible

EXAMPLES = 5
"""Told of every answer."""
_HEADING = 120
"""Characters of a prompt that it is called by."""
_OPEN, _CLOSE = "\ue000", "\ue001"
"""Stand for the marks until the text is escaped as a whole."""
_PLACEHOLDERS = re.compile("[\ue000\ue001]")
_BETWEEN = re.compile("\ue001( ?)\ue000")
_SPECIAL = re.compile(r"<.*>|\[.*\]")
_MARKED_SHARE = 0.1
"""Share of an example's tokens that are marked: those with the largest scores."""


@dataclass(frozen=True)
class _Style:
    """How a page is written."""

    title: str
    heading: str
    show: Callable[[str], str]
    marks: tuple[str, str]
    """Around a token that counts."""


_MARKDOWN = _Style("# ", "## ", markdown, ("<b>", "</b>"))
# "**" would show as asterisks where it meets a punctuation mark or parts a word from itself
_TEXT = _Style("", "== ", visible, ("»", "«"))


@dataclass(frozen=True)
class Origins:
    """Where the trained model's answers come from: files of the run."""

    run: RunDir
    tracer: Tracer
    """The stage that has traced them."""
    method: str
    """What they are ranked by."""

    @property
    def where(self) -> str:
        """The file that holds all of it, below the run."""
        return rankings_path(self.run, self.tracer).relative_to(self.run.root).as_posix()

    @cached_property
    def first(self) -> dict[str, list[RankedExample]]:
        """The most influential examples by prompt; a prompt without is left out."""
        return self._rows("top", EXAMPLES)

    def ends(self, prompt_id: str) -> tuple[list[float], list[float]]:
        """The highest and the lowest scores of a prompt's ranking, the most extreme first: as many
        of both as are weighed against each other, and no example twice."""
        highest, lowest = (rows.get(prompt_id, []) for rows in self._weighed)
        ids = [[row.example_id for row in rows] for rows in (highest, lowest)]
        count = min(len(highest), len(lowest))
        while not set(ids[0][:count]).isdisjoint(ids[1][:count]):
            count -= 1
        return [row.score for row in highest[:count]], [row.score for row in lowest[:count]]

    @cached_property
    def _weighed(self) -> tuple[dict[str, list[RankedExample]], dict[str, list[RankedExample]]]:
        return self._rows("top", FIRST), self._rows("bottom", FIRST)

    def _rows(self, end: End, last: int) -> dict[str, list[RankedExample]]:
        """The first rows of an end, by prompt."""
        if not was_written(
            self.run, self.tracer, rankings_path(self.run, self.tracer)
        ):  # there was no answer to trace
            return {}
        by_prompt: dict[str, list[RankedExample]] = {}
        for row in read_rankings(self.run, self.tracer, method=self.method, end=end, last=last):
            by_prompt.setdefault(row.prompt_id, []).append(row)
        return by_prompt

    @cached_property
    def marked(self) -> dict[tuple[str, str], list[tuple[str, bool]]]:
        """(token, whether it counts) by prompt and example; where there is none, none is marked."""
        scored = read_token_scores(self.run, self.tracer)
        return {example: _largest(tokens) for example, tokens in scored.items()}


def influential_markdown(origins: Origins) -> str:
    """The page as Markdown."""
    return "\n".join(_page(origins, _MARKDOWN)) + "\n"


def influential_text(origins: Origins) -> str:
    """The page as plain text."""
    return "\n".join(_page(origins, _TEXT)) + "\n"


def _page(origins: Origins, style: _Style) -> Iterator[str]:
    first, marked = origins.first, origins.marked
    yield f"{style.title}Influential examples"
    yield ""
    yield "The examples below influenced the trained model's own answers."
    yield f"Ranked by {origins.method}; scores are rows of {origins.where}. " + (
        f"{style.marks[0]}Marked{style.marks[1]}: the tokens whose prediction counts most."
    )
    for asked in read_generated_answers(origins.run):
        name = asked.prompt_id
        yield ""
        words, _ = shorten(" ".join(asked.prompt.split()), _HEADING)
        yield f"{style.heading}{style.show(words)}"
        yield ""
        yield f"Prompt {style.show(name)}: {style.show(asked.prompt)}"
        if expected := asked.expected.strip():
            yield ""
            yield f"Expected: {style.show(expected)}"
        yield ""
        yield f"Model's own answer: {style.show(asked.trained.answer.strip())}"
        if name not in first:
            yield ""
            yield "The model writes nothing here, so that there is nothing to trace."
        for row in first.get(name, ()):
            yield ""
            facts = (row.example_id, f"score {figure(row.score)}", row.source_label)
            yield f"{row.rank}. " + ", ".join(map(style.show, filter(None, facts)))
            yield ""
            yield _text(row.text, marked.get((name, row.example_id)), style)


def _largest(tokens: TokenScores) -> list[tuple[str, bool]]:
    scores = tokens.scores
    count = max(1, round(len(scores) * _MARKED_SHARE))
    least = sorted(scores, reverse=True)[min(count, len(scores)) - 1]
    return [
        (token, score >= least and score > 0)
        for token, score in zip(tokens.tokens, scores, strict=True)
    ]


def _text(text: str, tokens: list[tuple[str, bool]] | None, style: _Style) -> str:
    """The whole text; as it is where its tokens were not scored."""
    if tokens is None:
        return style.show(text)
    parts: list[str] = []
    for position, (token, counts) in enumerate(tokens):
        if position in (0, len(tokens) - 1) and _SPECIAL.fullmatch(token) and token not in text:
            continue  # the model's own beginning or end, not the document's
        plain = _PLACEHOLDERS.sub("", token)
        word = plain.strip()
        parts.append(plain.replace(word, f"{_OPEN}{word}{_CLOSE}", 1) if counts and word else plain)
    # what is marked throughout is one mark
    shown = style.show(_BETWEEN.sub(r"\1", "".join(parts).strip()))
    return shown.replace(_OPEN, style.marks[0]).replace(_CLOSE, style.marks[1])
