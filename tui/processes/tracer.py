"""Has a text traced word for word: that needs the tokenizer's library."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pipeline.contract.results.spans import TextTrace, judged, read_span_index, trace_of
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from tui.processes.request import answered

_KEPT = 64
_FAILED = "the text could not be traced"


def trace_text(run: RunDir, text: str, begins: int = 0) -> TextTrace:
    """Asks for the spans of a text and waits for them: seconds, and longer where the run's examples
    have to be indexed first. What stands from the letter `begins` on is judged.

    Raises:
        HeadwaterError: the run is not prepared, or its examples are damaged.
    """
    found = answered("pipeline.verbatim", _FAILED, str(run.root), str(begins), text=text)
    return trace_of(found["trace"])


def trace_answer(run: RunDir, prompt: str, answer: str) -> TextTrace:
    """The same of an answer to a prompt."""
    return trace_text(run, *_judged(run, prompt, answer))


def known_trace(run: RunDir, prompt: str, answer: str) -> TextTrace | None:
    """The same by the index that is there; None: there is none. The last answers are kept."""
    record = read_span_index(run.verbatim(run.examples))
    if record is None:
        return None
    found = _by_index(run.root, record.indexed.whole, *_judged(run, prompt, answer))
    if found is None:  # it did not fit, or was damaged: it may be made anew
        _by_index.cache_clear()
    return found


@lru_cache(maxsize=_KEPT)
def _by_index(root: Path, _indexed: str, text: str, begins: int) -> TextTrace | None:
    arguments = (str(root), str(begins), "built")
    found = answered("pipeline.verbatim", _FAILED, *arguments, text=text)["trace"]
    return trace_of(found) if found else None


def _judged(run: RunDir, prompt: str, answer: str) -> tuple[str, int]:
    return judged(load_settings(run.settings).data.form, prompt, answer)
