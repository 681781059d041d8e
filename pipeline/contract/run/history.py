"""asked.jsonl: the questions that were put to a run's model, oldest first, the last hundred.

The worker writes it, of which a run has one at most; whoever shows the questions reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pipeline.contract.files import json_text, read_text, write_text
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.typed import require_types

KEPT = 100


@dataclass(frozen=True)
class AskedBefore:
    """A question that was answered."""

    prompt: str
    completion: str | None
    """What was traced in place of the model's own answer."""
    answer: str
    """What was traced."""
    asked_at: str
    """As "2026-11-29 15:20", UTC."""
    instead: str | None = None
    """What the answer was set against."""

    def query(self, top: int) -> Query:
        """The same question again."""
        return Query(self.prompt, self.completion, top, self.instead)


def read_questions(run: RunDir) -> list[AskedBefore]:
    """The questions, newest first; lines that are none, as another program may have left them, are
    passed over."""
    return [*_questions(run)][::-1]


def remember(run: RunDir, question: Query, answer: str) -> None:
    """Puts a question last; the same one asked before is forgotten, and so is the hundred and
    first."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    asked = AskedBefore(question.prompt, question.completion, answer, now, question.instead)
    key = (question.prompt, question.completion, question.instead)
    others = [one for one in _questions(run) if (one.prompt, one.completion, one.instead) != key]
    lines = [json_text(asdict(one)) for one in [*others, asked][-KEPT:]]
    write_text(run.asked, "\n".join(lines) + "\n")


def _questions(run: RunDir) -> Iterator[AskedBefore]:
    try:
        text = read_text(run.asked)
    except (OSError, ValueError):
        return
    for line in text.split("\n"):
        try:
            yield require_types(AskedBefore(**json.loads(line)))
        except (ValueError, TypeError):
            continue
