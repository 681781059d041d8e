"""A benchmark question as a prompt that can be traced."""

from __future__ import annotations

from pipeline.contract.results.benchmark_questions import AnsweredQuestion
from pipeline.contract.settings.prompts import Prompt


def prompt_of(
    benchmark: str, question: AnsweredQuestion, answer: str, instead: str = "", of_set: str = ""
) -> Prompt:
    """A prompt that traces an answer to the question, rather than another one where that differs;
    `of_set`: the set that it joins."""
    other = instead.strip()
    return Prompt(
        id=f"{benchmark}-{question.id}".replace("/", "-"),
        prompt=question.prompt.rstrip(),
        completion=f" {answer.strip()}",
        instead=f" {other}" if other and other != answer.strip() else None,
        set=of_set or None,
    )
