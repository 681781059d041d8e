"""answers.jsonl: what the trained model itself says to each prompt, by greedy decoding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pipeline.contract.files import write_text
from pipeline.contract.results.common import checked, readable
from pipeline.contract.run.run_dir import RunDir

_STAGE = "scores"


@dataclass(frozen=True)
class GreedyAnswer:
    """A prompt, the completion whose origins are traced, and what the model says itself."""

    id: str
    prompt: str
    completion: str
    """The expected answer; may be empty."""
    generated: str = ""
    correct: bool | None = None
    """Whether the model's answer begins with the expected one; None: none is expected or known."""
    tokens: tuple[int, ...] | None = None
    """The tokens that the model generated; None: an earlier version kept the text alone."""
    set_against: str | None = None
    """The completion that the first is set against; None = none."""


def begins_with(text: str, expected: str) -> bool:
    """Whether `text` begins with `expected`, leading blanks aside, and does not cut a word."""
    text, expected = text.strip(), expected.strip()
    after = text[len(expected) : len(expected) + 1]
    goes_on = expected[-1].isalnum() and (after.isalnum() or after == "_")
    return text.startswith(expected) and not goes_on


def write_answers(run: RunDir, answers: Iterable[GreedyAnswer]) -> None:
    """Writes them in their order."""
    import json

    lines = [json.dumps(asdict(answer), ensure_ascii=False) for answer in answers]
    write_text(run.answers, "\n".join(lines) + "\n")


def read_answers(run: RunDir) -> dict[str, GreedyAnswer]:
    """The answers by prompt id, in their order.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it is not what the stage writes.
    """
    import json

    with readable(run, _STAGE, run.answers):
        lines = [json.loads(line) for line in run.answers.read_bytes().splitlines() if line]
    answers = checked(run, _STAGE, run.answers, list[GreedyAnswer], lines)
    return {answer.id: answer for answer in answers}
