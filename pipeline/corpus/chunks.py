"""Cuts long documents into training examples."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Chunk:
    """A stretch of a document: the exact slice of its text and the tokens to train on."""

    text: str
    tokens: list[int]
    chunk: int
    chunks: int


def encode(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[Encoding]:
    """The texts' own tokens, none added; text that spells a special token stays text."""
    return (
        tokenizer(
            texts,
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        ).encodings
        or []
    )


def split_document(
    text: str, encoding: Encoding, tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> list[Chunk]:
    """Chunks of nearly equal length, of at most `max_tokens` tokens.

    Every chunk begins with the beginning-of-sequence token; the last one ends with the
    end-of-sequence token, so that the model learns where documents end. The chunks' texts joined
    are the document. No chunks where the document has fewer than two tokens in all: there is
    nothing to predict.
    """
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    ids, offsets = encoding.ids + end, encoding.offsets
    if not encoding.ids or len(begin + ids) < 2:
        return []
    count = -(-len(ids) // (max_tokens - len(begin)))
    bounds = [number * len(ids) // count for number in range(count + 1)]
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
