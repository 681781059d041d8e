"""Documents on disk, and the examples that they are cut into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.contract.run.events import EventWriter
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus.chunks import encode, split_document
from pipeline.corpus.ids import DocumentIds
from pipeline.corpus.readers import ReadCounts, read_documents
from pipeline.corpus.tables import DOCUMENT_SCHEMA, read_batches, write_rows


def write_documents(
    path: Path, data: DataSettings, seed: int, reading: ReadCounts, events: EventWriter
) -> DocumentIds:
    """Reads the corpus into a table of DOCUMENT_SCHEMA; gives the documents' ids.

    Raises:
        DataError: nothing can be read, or there is no text.
        HubUnreachableError: see `read_documents`.
    """
    ids = DocumentIds()
    write_rows(path, DOCUMENT_SCHEMA, _document_rows(data, seed, reading, ids, events))
    events.progress(reading.rows, reading.rows, "rows", "reading")
    if not len(ids):
        raise DataError(
            f"no document with text in {reading.rows:,} rows "
            f"({reading.empty:,} empty, {reading.unreadable:,} unreadable)",
            "look at data.path and data.text_column",
        )
    return ids


def _document_rows(
    data: DataSettings, seed: int, reading: ReadCounts, ids: DocumentIds, events: EventWriter
) -> Iterator[dict[str, Any]]:
    for document in read_documents(data, seed, reading):
        yield {
            "id": ids.assign(document),
            "text": document.text,
            "source": document.row.source,
            "row": document.row.number,
        }
        events.progress(reading.rows, data.limit, "rows", "reading")


@dataclass
class ExampleBuilder:
    """Cuts documents into examples, and remembers what the later steps need of them."""

    tokenizer: PreTrainedTokenizerBase
    max_tokens: int
    ids: DocumentIds
    documents: list[str] = field(default_factory=list)
    """Each example's document."""
    tokens: int = 0
    chunked: int = 0

    def rows(
        self, documents: Path, reading: ReadCounts, events: EventWriter
    ) -> Iterator[dict[str, Any]]:
        """The rows of chunks.parquet, their near-duplicate groups still unknown."""
        done = 0
        for batch in read_batches(documents):
            rows = batch.to_pylist()
            encodings = encode([row["text"] for row in rows], self.tokenizer)
            for row, encoding in zip(rows, encodings, strict=True):
                pieces = split_document(row["text"], encoding, self.tokenizer, self.max_tokens)
                reading.empty += not pieces
                self.chunked += len(pieces) > 1
                for piece in pieces:
                    self.documents.append(row["id"])
                    self.tokens += len(piece.tokens)
                    yield {
                        "example_id": self._example_id(row["id"], piece.chunk, piece.chunks),
                        "document_id": row["id"],
                        "chunk": piece.chunk,
                        "chunks": piece.chunks,
                        "text": piece.text,
                        "tokens": piece.tokens,
                        "n_tokens": len(piece.tokens),
                        "duplicate_group": -1,
                        "source": row["source"],
                        "row": row["row"],
                    }
            done += len(rows)
            events.progress(done, len(self.ids), "documents", "tokenizing")

    def _example_id(self, document: str, chunk: int, chunks: int) -> str:
        if chunks == 1:
            return document
        name = f"{document}#{chunk}"
        if name in self.ids:
            raise DataError(
                f"document id {name!r} is also the id of a chunk of document {document!r}",
                "choose another data.id_column, or leave it empty to have ids made",
            )
        return name
