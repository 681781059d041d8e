"""Has a text traced word for word: that needs the tokenizer's library."""

from __future__ import annotations

from pipeline.contract.results.spans import TextTrace, trace_of
from pipeline.contract.run.run_dir import RunDir
from tui.processes.request import answered


def trace_text(run: RunDir, text: str) -> TextTrace:
    """Asks for the spans of a text and waits for them: seconds.

    Raises:
        HeadwaterError: the run is not prepared, or its examples are damaged.
    """
    failed = "the text could not be traced"
    return trace_of(answered("pipeline.verbatim", failed, str(run.root), text=text)["trace"])
