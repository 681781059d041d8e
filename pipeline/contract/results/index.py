"""The index that makes new prompts quick to trace, in figures.

File: `index/summary.json`. The features themselves are in `pipeline/ask/store.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.contract.results.common import Loaded, load, read_record, write_record
from pipeline.contract.run.run_dir import RunDir

STAGE = "index"


@dataclass(frozen=True)
class IndexSummary:
    """The content of `index/summary.json`."""

    features: int
    """Numbers that an example's gradient is reduced to."""
    examples: int
    """All that are indexed, those of added texts among them."""
    added: int
    """Examples of added texts, which the model was not trained on."""
    bytes: int


def write_index_summary(run: RunDir, summary: IndexSummary) -> None:
    """Writes the summary."""
    write_record(run.summary(STAGE), summary)


def read_index_summary(run: RunDir) -> IndexSummary:
    """Reads the summary.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: it is not what the index stage writes.
    """
    return read_record(run, STAGE, run.summary(STAGE), IndexSummary)


def load_index_summary(run: RunDir) -> Loaded[IndexSummary]:
    """The summary of a finished index; see `common.load` for the errors."""
    return load(run, STAGE, read_index_summary)
