"""The index that makes new prompts quick to trace: its figures, and losses to compare prompts with.

Files: `index/summary.json`; `index/text_losses.safetensors`, where an index of old has none. The
features themselves are in `pipeline/ask/store.py`.

Shape legend: S texts, T tokens of the longest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.contract.files import replacing
from pipeline.contract.results.common import Loaded, load, read_record, was_written, write_record
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STAGE = "index"
_LOSSES = "losses"
_HELD_OUT = "held_out"


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


@dataclass(frozen=True)
class TextLosses:
    """The trained model's loss at each token of some texts of the corpus."""

    losses: NDArray[np.float32]
    """[S, T - 1], nats, from the second token on; NaN beyond a text's end."""
    held_out: bool
    """Whether the texts are held out; else the model was trained on them."""


def write_text_losses(run: RunDir, found: TextLosses) -> None:
    """Writes the losses, whole or not at all."""
    from safetensors.numpy import save_file

    with replacing(run.text_losses) as temporary:
        save_file({_LOSSES: found.losses}, temporary, {_HELD_OUT: str(int(found.held_out))})


def read_text_losses(run: RunDir) -> TextLosses | None:
    """Reads the losses; None where an index of old has none.

    Raises:
        DamagedResultError: they are not what the index stage writes.
    """
    from pipeline.contract.results.tensors import open_tensors

    if not was_written(run, STAGE, run.text_losses):
        return None
    file = open_tensors(run, STAGE, run.text_losses, [_LOSSES])
    return TextLosses(file.floats(_LOSSES), file.metadata.get(_HELD_OUT) == "1")
