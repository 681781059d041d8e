"""Has a text traced word for word: that needs the tokenizer's library."""

from __future__ import annotations

from typing import Any

from pipeline.contract.results.spans import TextTrace, trace_of
from pipeline.contract.run.run_dir import RunDir
from tui.processes.request import answered


def trace_text(run: RunDir, text: str, begins: int = 0) -> TextTrace:
    """Asks for the spans of a text and waits for them: seconds, and longer where the run's examples
    have to be indexed first. What stands from the letter `begins` on is judged.

    Raises:
        HeadwaterError: the run is not prepared, or its examples are damaged.
    """
    return trace_of(_asked(run, text, str(begins)))


def trace_by_index(run: RunDir, text: str, begins: int = 0) -> TextTrace | None:
    """The same by the index that is there; None: there is none that fits."""
    found = _asked(run, text, str(begins), "built")
    return trace_of(found) if found else None


def _asked(run: RunDir, text: str, *arguments: str) -> dict[str, Any]:
    failed = "the text could not be traced"
    found = answered("pipeline.verbatim", failed, str(run.root), *arguments, text=text)["trace"]
    return found or {}
