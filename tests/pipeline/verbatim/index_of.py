"""Span indexes of a few texts, in memory."""

from __future__ import annotations

import numpy as np
from transformers import PreTrainedTokenizerBase

from pipeline.verbatim.indexing import Searchable, SpanIndex, folded_bytes
from pipeline.verbatim.suffixes import SuffixIndex, joined, suffix_array


def searchable(documents: list[np.ndarray]) -> Searchable:
    symbols = joined(documents)
    index = SuffixIndex(symbols, suffix_array(symbols))
    return Searchable(symbols, index, np.flatnonzero(symbols == 0))


def index_of(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> SpanIndex:
    tokens = searchable(
        [np.array(tokenizer.encode(text, add_special_tokens=False), np.int64) for text in texts]
    )
    folded = searchable([folded_bytes(text) for text in texts])
    ids = [str(number) for number in range(len(texts))]
    return SpanIndex(tokens, folded, np.bincount(tokens.symbols)[1:], ids, built="")
