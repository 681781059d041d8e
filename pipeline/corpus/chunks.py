"""Splits tokenized documents into chunks, the training examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.examples import Turn
from pipeline.corpus.windows import LongEncoding


@dataclass(frozen=True)
class Chunk:
    """A part of a document: what it says, and the token ids to train on."""

    text: str
    tokens: list[int]
    chunk: int
    """0-based number within the document."""
    chunks: int
    """Number of chunks of the document."""
    labelled: Sequence[bool] | None = None
    """Which tokens carry loss; None = all."""
    turns: tuple[Turn, ...] | None = None
    """Who says what in it; None in plain text."""


def split_document(
    text: str,
    encoding: Encoding | LongEncoding,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    labelled: Sequence[bool] | None = None,
) -> list[Chunk]:
    """Splits a document into chunks of nearly equal length, at most `max_tokens` tokens each.

    Every chunk begins with the beginning-of-sequence token; the last one ends with the
    end-of-sequence token, so that the model learns where documents end. The chunks' texts joined
    are the document. A document with fewer than two tokens has no chunks: there is nothing to
    predict. `labelled` says which of the encoding's tokens carry loss; the end then does too.
    """
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    ids, offsets = encoding.ids + end, encoding.offsets
    if not encoding.ids or len(begin + ids) < 2:
        return []
    # as few chunks as possible; equal shares, so that no short remainder is left
    count = -(-len(ids) // (max_tokens - len(begin)))
    bounds = [number * len(ids) // count for number in range(count + 1)]
    # a chunk's text reaches to the first token of the next: no character is lost
    starts = [0, *(offsets[bound][0] for bound in bounds[1:-1]), len(text)]
    carries = None if labelled is None else [*labelled, *(True for _ in end)]
    return [
        Chunk(
            text=text[starts[number] : starts[number + 1]],
            tokens=begin + ids[first:after],
            chunk=number,
            chunks=count,
            labelled=None if carries is None else [False] * len(begin) + carries[first:after],
        )
        for number, (first, after) in enumerate(pairwise(bounds))
    ]
