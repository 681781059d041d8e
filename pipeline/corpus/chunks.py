"""Tokenizes documents and splits long ones into chunks, the training examples."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Chunk:
    """A contiguous part of a document: its exact text and the token ids to train on."""

    text: str
    tokens: list[int]
    chunk: int
    """0-based number within the document."""
    chunks: int
    """Number of chunks of the document."""


def encode(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[Encoding]:
    """Tokenizes the texts without special tokens; a text that spells one stays ordinary text."""
    return (
        tokenizer(
            texts,
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # no warning of texts beyond the model's context: they are split
        ).encodings
        or []
    )


def split_document(
    text: str, encoding: Encoding, tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> list[Chunk]:
    """Splits a document into chunks of nearly equal length, at most `max_tokens` tokens each.

    Every chunk begins with the beginning-of-sequence token; the last one ends with the
    end-of-sequence token, so that the model learns where documents end. The chunks' texts joined
    are the document. A document with fewer than two tokens has no chunks: there is nothing to
    predict.
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
    return [
        Chunk(
            text=text[starts[number] : starts[number + 1]],
            tokens=begin + ids[bounds[number] : bounds[number + 1]],
            chunk=number,
            chunks=count,
        )
        for number in range(count)
    ]
