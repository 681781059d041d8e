"""Writes the corpus's documents to disk, and splits them into training examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.contract.results.common import write_rows
from pipeline.contract.results.examples import NO_GROUP, ExampleRow, run_lengths
from pipeline.contract.run.events import EventWriter
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus.chat import RefusedConversationError
from pipeline.corpus.chunks import Chunk, split_document
from pipeline.corpus.forms import completion_of, conversation_of
from pipeline.corpus.ids import DocumentIds
from pipeline.corpus.labelling import encode, require_embedded
from pipeline.corpus.pieces import completion_pieces, conversation_pieces
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.readers import read_documents
from pipeline.corpus.windows import LONG, encode_long

_BATCH_ROWS = 512
_BATCH_LETTERS = 1 << 21
"""Tokenized text takes 150 times its size: a batch is not to be longer."""
_READ_ROWS = 16
_NAMED_REFUSALS = 5


@dataclass(frozen=True)
class CleanDocument:
    """A row of the documents that are kept until they are split."""

    id: str
    text: str
    source: str
    row: int
    record: str
    """Of a completion or a conversation, see `forms.Content`; empty in plain text."""


_DOCUMENT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("source", pa.string()),
        ("row", pa.int64()),
        ("record", pa.string()),
    ]
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
            f"the first fault: {reading.first_fault}"
            if reading.first_fault
            else "look at data.path and data.text_column",
        )
    return ids


def _documents(
    data: DataSettings, seed: int, reading: ReadCounts, ids: DocumentIds, events: EventWriter
) -> Iterator[CleanDocument]:
    for document in read_documents(data, seed, reading):
        if taken := ids.conflict(document):
            reading.skip(document.row, taken)
            continue
        source, number = document.row.source, document.row.number
        yield CleanDocument(ids.assign(document), document.text, source, number, document.record)
        events.progress(reading.rows, data.limit, "rows", "reading")


def document_batches(path: Path) -> Iterator[list[CleanDocument]]:
    """Yields the rows that `write_documents` wrote, a batch of so many or of so long at a time."""
    gathered: list[CleanDocument] = []
    held = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_READ_ROWS):
            for row in batch.to_pylist():
                gathered.append(CleanDocument(**row))
                held += len(gathered[-1].text)
                if len(gathered) == _BATCH_ROWS or held >= _BATCH_LETTERS:
                    yield gathered
                    gathered, held = [], 0
    if gathered:
        yield gathered


@dataclass
class ExampleBuilder:
    """Splits documents into training examples and counts them for the later steps."""

    tokenizer: PreTrainedTokenizerBase
    data: DataSettings
    ids: DocumentIds
    embeddings: int | None = None
    """How many embeddings the model has, with ids from 0; None where that is not known."""
    documents: list[str] = field(default_factory=list)
    """Document id of each example."""
    tokens: int = 0
    """Tokens of all examples."""
    chunked: int = 0
    """Number of documents with more than one chunk."""
    answers: int = 0
    """Completions, or turns of the assistant, that carry loss."""
    dropped: int = 0
    """Turns of the assistant that do not fit into a sequence."""
    rewritten: int = 0
    """Conversations of which each answer is an example of its own."""
    refused: Counter[str] = field(default_factory=Counter)
    """Why documents could not be used, and how many."""

    @property
    def with_turns(self) -> bool:
        """Whether the examples say who speaks in them, and what of them carries loss."""
        return self.data.form != "text"

    def rows(
        self, documents: Path, reading: ReadCounts, events: EventWriter
    ) -> Iterator[ExampleRow]:
        """Yields the examples; `duplicate_group` is NO_GROUP, to be filled in later.

        Raises:
            ModelError: a token has no embedding.
            DataError: a document cannot be used, in strict mode; or none can.
        """
        done = 0
        for batch in document_batches(documents):
            for document, pieces in self._cut(batch, reading):
                self.chunked += len(pieces) > 1
                for piece in pieces:
                    yield self._example(document, piece)
            done += len(batch)
            events.progress(done, len(self.ids), "documents", "tokenizing")
        self._tell(events)

    def _cut(
        self, batch: list[CleanDocument], reading: ReadCounts
    ) -> Iterator[tuple[CleanDocument, list[Chunk]]]:
        if self.with_turns:
            yield from ((document, self._parts(document, reading)) for document in batch)
            return
        # a batch at a time: tokenizers run its texts in parallel
        short = [one.text for one in batch if len(one.text) < LONG]
        encodings = iter(encode(short, self.tokenizer) if short else [])
        for document in batch:
            is_long = len(document.text) >= LONG
            encoding = encode_long(document.text, self.tokenizer) if is_long else next(encodings)
            pieces = split_document(document.text, encoding, self.tokenizer, self.data.max_tokens)
            reading.empty += not pieces
            yield document, pieces

    def _parts(self, document: CleanDocument, reading: ReadCounts) -> list[Chunk]:
        """The sequences of a completion or a conversation; none if it is refused."""
        try:
            if self.data.form == "completion":
                completion = completion_of(document.record)
                pieces = completion_pieces(completion, self.tokenizer, self.data.max_tokens)
            else:
                conversation = conversation_of(document.record)
                pieces = conversation_pieces(conversation, self.tokenizer, self.data.max_tokens)
        except RefusedConversationError as error:
            self._refuse(document, str(error), reading)
            return []
        self.answers += pieces.answers
        self.dropped += pieces.dropped
        self.rewritten += pieces.rewritten
        return pieces.chunks

    def _refuse(self, document: CleanDocument, reason: str, reading: ReadCounts) -> None:
        where = f"{document.source} row {document.row}"
        if self.data.strict:
            hint = "data.strict = false leaves out and counts such rows"
            raise DataError(f"{where}: {reason}", hint)
        self.refused[reason] += 1
        if self.refused.total() <= _NAMED_REFUSALS:
            reading.warn(f"left out {where}: {reason}")

    def _tell(self, events: EventWriter) -> None:
        """Warns of what was lost.

        Raises:
            DataError: all.
        """
        for reason, count in self.refused.most_common():
            events.warning(f"{count:,} of {len(self.ids):,} documents were left out: {reason}")
        if self.dropped:
            events.warning(
                f"{self.dropped:,} turns of the assistant were left out: with what they answer "
                f"they are longer than data.max_tokens = {self.data.max_tokens}"
            )
        if self.rewritten:
            events.note(
                f"{self.rewritten:,} conversations became one example for each answer: the chat "
                "template writes earlier turns otherwise once others follow"
            )
        if not self.documents and self.refused:
            [(reason, _)] = self.refused.most_common(1)
            raise DataError(
                f"none of the {len(self.ids):,} documents can be used; the first reason: {reason}",
                "see data.form, data.chat_template and data.max_tokens",
            )

    def _example(self, document: CleanDocument, piece: Chunk) -> ExampleRow:
        where = f"{document.source} row {document.row}"
        require_embedded(piece.tokens, self.embeddings, self.tokenizer, where)
        self.documents.append(document.id)
        self.tokens += len(piece.tokens)
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
            labelled=None if piece.labelled is None else run_lengths(piece.labelled),
            turns=piece.turns,
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
