"""Writes the corpus's documents to disk, and splits them into training examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.contract.results.common import write_rows
from pipeline.contract.results.examples import NO_GROUP, ExampleRow
from pipeline.contract.run.events import EventWriter
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus.chunks import Chunk, encode, split_document
from pipeline.corpus.ids import DocumentIds
from pipeline.corpus.readers import ReadCounts, read_documents

_BATCH_ROWS = 512


@dataclass(frozen=True)
class CleanDocument:
    """A row of the documents that are kept until they are split."""

    id: str
    text: str
    source: str
    row: int


_DOCUMENT_SCHEMA = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("source", pa.string()), ("row", pa.int64())]
)


def write_documents(
    path: Path, data: DataSettings, seed: int, reading: ReadCounts, events: EventWriter
) -> DocumentIds:
    """Reads the corpus into a Parquet file of cleaned documents; returns their ids.

    Raises:
        DataError: nothing can be read, or there is no text.
        HubUnreachableError: see `read_documents`.
    """
    ids = DocumentIds()
    documents = _documents(data, seed, reading, ids, events)
    write_rows(path, _DOCUMENT_SCHEMA, map(vars, documents))
    events.progress(reading.rows, reading.rows, "rows", "reading")
    if not len(ids):
        raise DataError(
            f"no document with text in {reading.rows:,} rows "
            f"({reading.empty:,} empty, {reading.unreadable:,} unreadable)",
            "look at data.path and data.text_column",
        )
    return ids


def _documents(
    data: DataSettings, seed: int, reading: ReadCounts, ids: DocumentIds, events: EventWriter
) -> Iterator[CleanDocument]:
    for document in read_documents(data, seed, reading):
        source, number = document.row.source, document.row.number
        yield CleanDocument(ids.assign(document), document.text, source, number)
        events.progress(reading.rows, data.limit, "rows", "reading")


def document_batches(path: Path) -> Iterator[list[CleanDocument]]:
    """Yields the rows that `write_documents` wrote, a batch at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            yield [CleanDocument(**row) for row in batch.to_pylist()]


@dataclass
class ExampleBuilder:
    """Splits documents into training examples and counts them for the later steps."""

    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    ids: DocumentIds
    documents: list[str] = field(default_factory=list)
    """Document id of each example."""
    tokens: int = 0
    """Tokens of all examples."""
    chunked: int = 0
    """Number of documents with more than one chunk."""

    def rows(
        self, documents: Path, reading: ReadCounts, events: EventWriter
    ) -> Iterator[ExampleRow]:
        """Yields the examples; `duplicate_group` is NO_GROUP, to be filled in later."""
        done = 0
        for batch in document_batches(documents):
            # a batch at a time: tokenizers run its texts in parallel
            encodings = encode([one.text for one in batch], self.tokenizer)
            for document, encoding in zip(batch, encodings, strict=True):
                pieces = split_document(document.text, encoding, self.tokenizer, self.max_tokens)
                reading.empty += not pieces
                self.chunked += len(pieces) > 1
                for piece in pieces:
                    self.documents.append(document.id)
                    self.tokens += len(piece.tokens)
                    yield self._example(document, piece)
            done += len(batch)
            events.progress(done, len(self.ids), "documents", "tokenizing")

    def _example(self, document: CleanDocument, piece: Chunk) -> ExampleRow:
        return ExampleRow(
            example_id=self._example_id(document.id, piece.chunk, piece.chunks),
            document_id=document.id,
            chunk=piece.chunk,
            chunks=piece.chunks,
            text=piece.text,
            tokens=piece.tokens,
            n_tokens=len(piece.tokens),
            duplicate_group=NO_GROUP,
            source=document.source,
            row=document.row,
        )

    def _example_id(self, document: str, chunk: int, chunks: int) -> str:
        """The document's id; with "#" and the chunk's number if there are several."""
        if chunks == 1:
            return document
        name = f"{document}#{chunk}"
        if name in self.ids:  # the user's own ids may have any form
            raise DataError(
                f"document id {name!r} is also the id of a chunk of document {document!r}",
                "choose another data.id_column, or leave it empty to have ids made",
            )
        return name
