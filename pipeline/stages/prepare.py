"""Stage prepare: reads the corpus, gives every example an id, tokenizes, finds near-duplicates.

Three passes over the documents, none of which holds them all in memory:
documents.parquet (cleaned, with ids) → chunks.parquet (tokenized) → examples and validation.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from datasketch import MinHash
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.contract.events import EventWriter
from pipeline.contract.files import replacing, write_json
from pipeline.contract.prompts import Prompt, load_prompts, save_prompts
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import Settings
from pipeline.corpus import demo
from pipeline.corpus.chunks import cut
from pipeline.corpus.duplicates import duplicate_groups, signatures
from pipeline.corpus.examples import EXAMPLE_SCHEMA, encode_pair
from pipeline.corpus.readers import Document, Reading, read_documents
from pipeline.corpus.tokenizers import ready_tokenizer, train_tokenizer
from pipeline.model import load_tokenizer

_BATCH_ROWS = 512
_DOCUMENT_SCHEMA = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("source", pa.string()), ("row", pa.int64())]
)


def run(settings: Settings, run_dir: RunDir, events: EventWriter) -> None:
    """Writes examples.parquet, validation.parquet, prompts.jsonl, tokenizer/, summary.json."""
    folder = run_dir.stage("prepare")
    documents, chunks = folder / "documents.parquet", folder / "chunks.parquet"
    reading = Reading(strict=settings.data.strict, warn=events.warning)

    if settings.tokenizer.source != "train":  # before the reading, which may take hours
        ready_tokenizer(settings).save_pretrained(run_dir.tokenizer)
    prompts = _prompts(settings, run_dir)
    ids = _write_documents(documents, settings, reading, events)
    if settings.tokenizer.source == "train":
        texts = (text for batch in _batches(documents) for text in batch["text"])
        train_tokenizer(texts, settings.tokenizer.vocab_size).save_pretrained(run_dir.tokenizer)
    tokenizer = load_tokenizer(run_dir.tokenizer)
    _check_prompts(prompts, ids, tokenizer, settings, events)

    index = _write_chunks(chunks, documents, len(ids), tokenizer, settings, events)
    events.progress(0, index.count, "examples", "near-duplicates")
    groups = duplicate_groups(index.signatures, settings.data.duplicate_threshold)
    held_out = _held_out(index.documents, groups, settings)
    _split(chunks, groups, held_out, run_dir)
    events.progress(index.count, index.count, "examples", "near-duplicates")

    save_prompts(run_dir.prepared_prompts, prompts)
    write_json(
        run_dir.summary("prepare"),
        _summary(settings, reading, index, groups, held_out, len(tokenizer)),
    )
    documents.unlink()
    chunks.unlink()


def _prompts(settings: Settings, run_dir: RunDir) -> list[Prompt]:
    if settings.data.source == "demo":
        made = demo.generate(settings.run.seed)[1]
        return [
            Prompt(id=p.id, prompt=p.prompt, completion=p.completion, relevant=p.relevant)
            for p in made
        ]
    return load_prompts(run_dir.prompts, settings.prompts.use_generated)


def _write_documents(
    path: Path, settings: Settings, reading: Reading, events: EventWriter
) -> set[str]:
    """Pass 1; gives the documents' ids."""
    ids = _Ids(required=bool(settings.data.id_column))
    with replacing(path) as temporary, pq.ParquetWriter(temporary, _DOCUMENT_SCHEMA) as writer:
        batch: list[dict[str, Any]] = []
        for document in read_documents(settings.data, settings.run.seed, reading):
            batch.append(
                {
                    "id": ids.give(document),
                    "text": document.text,
                    "source": document.source,
                    "row": document.row,
                }
            )
            if len(batch) == _BATCH_ROWS:
                writer.write_table(pa.Table.from_pylist(batch, _DOCUMENT_SCHEMA))
                batch = []
            events.progress(reading.rows, settings.data.limit, "rows", "reading")
        writer.write_table(pa.Table.from_pylist(batch, _DOCUMENT_SCHEMA))
    events.progress(reading.rows, reading.rows, "rows", "reading")
    if not ids.given:
        raise DataError(
            f"no document with text in {reading.rows} rows "
            f"({reading.empty} empty, {reading.unreadable} unreadable)",
            "look at data.path and data.text_column",
        )
    _warn_of_losses(reading, events)
    return set(ids.given)


def _warn_of_losses(reading: Reading, events: EventWriter) -> None:
    for count, what in ((reading.unreadable, "unreadable"), (reading.empty, "empty")):
        if count:
            events.warning(f"{count:,} of {reading.rows:,} rows are {what} and were left out")


class _Ids:
    """Document ids: the user's own, or made from the text so that they stay when files move."""

    def __init__(self, required: bool) -> None:
        self._required = required
        self.given: dict[str, str] = {}

    def give(self, document: Document) -> str:
        where = f"{document.source} row {document.row}"
        name = document.id
        if not name:
            digest = hashlib.blake2b(document.text.encode(), digest_size=6).hexdigest()
            name, copy = digest, 1
            while name in self.given:
                copy += 1
                name = f"{digest}-{copy}"
        elif name in self.given:
            hint = "choose another data.id_column, or leave it empty to have ids made"
            raise DataError(f"{where}: id {name!r} is taken already, by {self.given[name]}", hint)
        self.given[name] = where
        return name


def _check_prompts(
    prompts: list[Prompt],
    ids: set[str],
    tokenizer: PreTrainedTokenizerBase,
    settings: Settings,
    events: EventWriter,
) -> None:
    """Refuses prompts longer than a training example; warns of relevant ids that are not there."""
    for prompt in prompts:
        length = sum(map(len, encode_pair(tokenizer, prompt.prompt, prompt.completion)))
        if length > settings.data.max_tokens:
            raise DataError(
                f"prompt {prompt.id!r} with its completion is {length} tokens long, "
                f"more than data.max_tokens = {settings.data.max_tokens}"
            )
        if missing := [name for name in prompt.relevant if name not in ids]:
            events.warning(f"prompt {prompt.id!r}: not in the corpus: {', '.join(missing[:5])}")


@dataclass
class _Index:
    """What pass 2 remembers of every chunk."""

    documents: list[str] = field(default_factory=list)
    signatures: list[MinHash] = field(default_factory=list)
    tokens: int = 0
    chunked: int = 0

    @property
    def count(self) -> int:
        return len(self.documents)


def _write_chunks(
    path: Path,
    documents: Path,
    total: int,
    tokenizer: PreTrainedTokenizerBase,
    settings: Settings,
    events: EventWriter,
) -> _Index:
    """Pass 2: tokenized chunks, their near-duplicate groups still unknown."""
    index, done = _Index(), 0
    with replacing(path) as temporary, pq.ParquetWriter(temporary, EXAMPLE_SCHEMA) as writer:
        for batch in _batches(documents):
            rows = list(_chunk_rows(batch, tokenizer, settings.data.max_tokens))
            writer.write_table(pa.Table.from_pylist(rows, EXAMPLE_SCHEMA))
            index.documents += [row["document_id"] for row in rows]
            index.signatures += signatures([row["text"] for row in rows])
            index.tokens += sum(row["n_tokens"] for row in rows)
            index.chunked += sum(row["chunks"] > 1 and row["chunk"] == 0 for row in rows)
            done += len(batch["id"])
            events.progress(done, total, "documents", "tokenizing")
    return index


def _chunk_rows(
    batch: dict[str, list[Any]], tokenizer: PreTrainedTokenizerBase, max_tokens: int
) -> Iterator[dict[str, Any]]:
    encodings = tokenizer(batch["text"], add_special_tokens=False, verbose=False).encodings
    columns = (batch["id"], batch["text"], batch["source"], batch["row"], encodings)
    for document_id, text, source, row, encoding in zip(*columns, strict=True):
        for piece in cut(text, encoding, tokenizer, max_tokens):
            several = piece.chunks > 1
            yield {
                "example_id": f"{document_id}#{piece.chunk}" if several else document_id,
                "document_id": document_id,
                "chunk": piece.chunk,
                "chunks": piece.chunks,
                "text": piece.text,
                "tokens": piece.tokens,
                "n_tokens": len(piece.tokens),
                "duplicate_group": -1,
                "source": source,
                "row": row,
            }


def _batches(path: Path) -> Iterator[dict[str, list[Any]]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            yield batch.to_pydict()


def _held_out(documents: list[str], groups: list[int], settings: Settings) -> set[str]:
    """Documents for validation; near-duplicates of each other stay on one side.

    The documents that the demo asks about are never held out.
    """
    together = _together(documents, groups)
    order = sorted(together, key=lambda name: together[name])
    clusters: dict[str, list[str]] = defaultdict(list)
    for name in order:
        clusters[together[name]].append(name)
    names = list(clusters)
    random.Random(settings.run.seed).shuffle(names)
    wanted = round(len(together) * settings.data.validation_fraction)
    held_out: set[str] = set()
    for name in names:
        if len(held_out) + len(clusters[name]) > wanted:
            continue
        if settings.data.source == "demo" and not all(demo.is_filler(n) for n in clusters[name]):
            continue
        held_out.update(clusters[name])
    return held_out


def _together(documents: list[str], groups: list[int]) -> dict[str, str]:
    """Document → the first of the documents that it shares near-duplicate chunks with."""
    leader: dict[str, str] = {}
    of_group: dict[int, str] = {}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for name, group in zip(documents, groups, strict=True):
        leader.setdefault(name, name)
        if group >= 0:
            other = of_group.setdefault(group, name)
            leader[find(name)] = find(other)
    return {name: find(name) for name in leader}


def _split(chunks: Path, groups: list[int], held_out: set[str], run_dir: RunDir) -> None:
    """Pass 3: the chunks, with their groups, to training or to validation."""
    done = 0
    with (
        replacing(run_dir.examples) as examples,
        replacing(run_dir.validation) as validation,
        pq.ParquetWriter(examples, EXAMPLE_SCHEMA) as training_writer,
        pq.ParquetWriter(validation, EXAMPLE_SCHEMA) as validation_writer,
        pq.ParquetFile(chunks) as file,
    ):
        for batch in file.iter_batches(_BATCH_ROWS):
            table = pa.Table.from_batches([batch])
            column = pa.array(groups[done : done + len(table)], pa.int32())
            position = EXAMPLE_SCHEMA.get_field_index("duplicate_group")
            table = table.set_column(position, "duplicate_group", column)
            mask = pa.array([name in held_out for name in table["document_id"].to_pylist()])
            validation_writer.write_table(table.filter(mask))
            training_writer.write_table(table.filter(pa.compute.invert(mask)))
            done += len(table)


def _summary(
    settings: Settings,
    reading: Reading,
    index: _Index,
    groups: list[int],
    held_out: set[str],
    vocab_size: int,
) -> dict[str, Any]:
    validation = sum(name in held_out for name in index.documents)
    sizes = Counter(group for group in groups if group >= 0)
    return {
        "source": settings.data.path or settings.data.source,
        "documents_read": reading.rows,
        "empty": reading.empty,
        "unreadable": reading.unreadable,
        "documents": len(set(index.documents)),
        "chunked_documents": index.chunked,
        "examples": index.count - validation,
        "validation_examples": validation,
        "tokens": index.tokens,
        "duplicate_groups": len(sizes),
        "duplicates": sum(sizes.values()),
        "vocab_size": vocab_size,
    }
