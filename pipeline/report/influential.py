"""The examples behind each answer with their full text, the most influential tokens marked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from pipeline.contract.prompts import load_prompts
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import Settings
from pipeline.contract.token_scores import by_predicted_token
from pipeline.report.facts import json_lines
from pipeline.report.rankings import Rankings
from pipeline.report.text import figure, markdown, visible

_EXAMPLES = 5
_OPEN, _CLOSE = "\ue000", "\ue001"
"""Hold the marks' places until the text is escaped as a whole."""
_PLACES = re.compile("[\ue000\ue001]")
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


def influential_markdown(settings: Settings, run: RunDir) -> str:
    """The page as Markdown."""
    return "\n".join(_page(settings, run, _MARKDOWN)) + "\n"


def influential_text(settings: Settings, run: RunDir) -> str:
    """The page as plain text."""
    return "\n".join(_page(settings, run, _TEXT)) + "\n"


def _page(settings: Settings, run: RunDir, style: _Style) -> Iterator[str]:
    rankings = Rankings.read(run)
    if rankings is None:
        return
    own = settings.prompts.use_generated
    answers = {line["id"]: line["generated"] for line in json_lines(run.answers)}
    marked = _marked_tokens(run)
    yield f"{style.title}Influential examples"
    yield ""
    yield (
        "The examples below influenced the model's own answers."
        if own
        else "The examples below influenced the expected completions, not the model's own answers; "
        "prompts.use_generated = true traces those."
    )
    yield f"Ranked by {rankings.default}; scores are rows of scores/rankings.parquet. " + (
        f"{style.marks[0]}Marked{style.marks[1]}: the tokens whose prediction counts most."
    )
    for prompt in load_prompts(run.prepared_prompts, use_generated=True):
        ranking = rankings.of_prompt(prompt.id)
        yield ""
        yield f"{style.heading}{style.show(prompt.id)}"
        yield ""
        yield f"Prompt: {style.show(prompt.prompt)}"
        yield ""
        yield f"Model's own answer: {style.show(answers.get(prompt.id, '').strip())}"
        if not own:
            yield ""
            yield f"Traced: {style.show(prompt.completion.strip())}"
        elif ranking is None:
            yield ""
            yield "The model writes nothing here, so that there is nothing to trace."
        for line in ranking.top[:_EXAMPLES] if ranking else ():
            row = line.row
            yield ""
            yield f"{row['rank']}. {style.show(row['example_id'])}, score {figure(row['score'])}"
            yield ""
            yield _text(row["text"], marked.get((prompt.id, row["example_id"])), style)


def _marked_tokens(run: RunDir) -> dict[tuple[str, str], list[tuple[str, bool]]]:
    """(token, whether it counts) by prompt and example."""
    if not run.token_scores.exists():
        return {}
    rows: list[dict[str, Any]] = pq.read_table(run.token_scores).to_pylist()
    return {(row["prompt_id"], row["example_id"]): _largest(row) for row in rows}


def _largest(row: dict[str, Any]) -> list[tuple[str, bool]]:
    scores = by_predicted_token(row["scores"])
    count = max(1, round(len(scores) * _MARKED_SHARE))
    least = sorted(scores, reverse=True)[min(count, len(scores)) - 1]
    return [
        (token, score >= least and score > 0)
        for token, score in zip(row["tokens"], scores, strict=True)
    ]


def _text(text: str, tokens: list[tuple[str, bool]] | None, style: _Style) -> str:
    """The whole text; as it is where its tokens were not scored."""
    if tokens is None:
        return style.show(text)
    parts: list[str] = []
    for place, (token, counts) in enumerate(tokens):
        if place in (0, len(tokens) - 1) and _SPECIAL.fullmatch(token) and token not in text:
            continue  # the model's own beginning or end, not the document's
        plain = _PLACES.sub("", token)
        word = plain.strip()
        parts.append(plain.replace(word, f"{_OPEN}{word}{_CLOSE}", 1) if counts and word else plain)
    # what is marked throughout is one mark
    shown = style.show(_BETWEEN.sub(r"\1", "".join(parts).strip()))
    return shown.replace(_OPEN, style.marks[0]).replace(_CLOSE, style.marks[1])
