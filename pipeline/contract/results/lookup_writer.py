"""Writes what a screen looks up about every example, so that a memory map of it opens at once.

A safetensors file, read by `lookup.py`. A column of texts is its UTF-8 bytes in a row, `<name>`,
and where each text begins and the last one ends, `<name>_at` [+ 1]:

    id, text              uint8   with id_at, text_at              int64 [N + 1]
    document, source      int32   [N]  equal numbers = the same one; metadata has the sources' names
    chunk, chunks, n_tokens, duplicate_group  int32 [N]     row  int64 [N]
    word                  uint8   every word of the texts, case-folded, with word_at  int64 [V + 1]
    posting               int32   examples that hold the word, with posting_at         int64 [V + 1]
    relevant              int32   examples known to state the prompt's answer,
                                  with relevant_at                                     int64 [Q + 1]

Shape legend: N training examples, V words, Q prompts.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.files import replacing
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt

if TYPE_CHECKING:
    import pyarrow as pa

_WORD = re.compile(r"\w+")
_NUMBERS = ("chunk", "chunks", "n_tokens", "duplicate_group", "row")

Tensors = dict[str, NDArray[np.generic]]


def write_lookup(run: RunDir, prompts: Sequence[Prompt], examples: pa.Table) -> None:
    """Writes the file, whole or not at all. `examples` has the columns of examples.parquet."""
    from safetensors.numpy import save_file

    sources = examples["source"].combine_chunks().dictionary_encode()
    documents = examples["document_id"].combine_chunks().dictionary_encode()
    tensors: Tensors = {
        "document": documents.indices.to_numpy(),
        "source": sources.indices.to_numpy(),
        **{name: examples[name].to_numpy() for name in _NUMBERS},
        **_texts("id", examples["example_id"]),
        **_texts("text", examples["text"]),
        **_words(examples["text"]),
        **_relevant(prompts, documents),
    }
    metadata = {"sources": json.dumps(sources.dictionary.to_pylist())}
    with replacing(run.lookup) as temporary:
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, temporary, metadata)


def _texts(name: str, column: pa.ChunkedArray) -> Tensors:
    import pyarrow as pa

    joined = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in column.chunks])
    _, ends, letters = joined.buffers()
    count = len(joined) + 1
    at = np.frombuffer(ends, np.int64)[joined.offset : joined.offset + count]
    return {name: np.frombuffer(letters or b"", np.uint8), f"{name}_at": at}


def _words(texts: pa.ChunkedArray) -> Tensors:
    """The inverted index: which examples hold which word."""
    import pyarrow as pa

    numbers: dict[str, int] = {}
    words, rows = array("i"), array("i")
    for row, text in enumerate(text for chunk in texts.chunks for text in chunk.to_pylist()):
        found = dict.fromkeys(_WORD.findall(text.casefold()))  # a set's order is another each time
        held = [numbers.setdefault(word, len(numbers)) for word in found]
        words.extend(held)
        rows.extend([row] * len(held))
    by_word = np.frombuffer(words, np.int32) if words else np.empty(0, np.int32)
    postings = np.frombuffer(rows, np.int32) if rows else np.empty(0, np.int32)
    counts = np.bincount(by_word, minlength=len(numbers))
    return {
        **_texts("word", pa.chunked_array([pa.array(list(numbers), pa.string())])),
        "posting": postings[np.argsort(by_word, kind="stable")],
        "posting_at": _ends(counts.tolist()),
    }


def _relevant(prompts: Sequence[Prompt], documents: pa.DictionaryArray) -> Tensors:
    numbers = {name: number for number, name in enumerate(documents.dictionary.to_pylist())}
    rows = documents.indices.to_numpy()
    relevant = [
        np.flatnonzero(np.isin(rows, [numbers[name] for name in p.relevant if name in numbers]))
        for p in prompts
    ]
    joined = np.concatenate([np.empty(0, np.int64), *relevant]).astype(np.int32)
    return {"relevant": joined, "relevant_at": _ends([len(rows) for rows in relevant])}


def _ends(counts: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *counts], dtype=np.int64)
