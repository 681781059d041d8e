"""The corpus: training and held-out examples, where each was read, and the corpus in figures.

Files: `prepare/examples.parquet`, `prepare/validation.parquet`, `prepare/summary.json`; and the
`examples.parquet` of each text that is added to the index. The order of the rows is the order of
the examples everywhere: scores, features and lookups have no other key.

Shape legend: N examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from pipeline.contract.results.common import (
    numbers,
    read_record,
    read_table,
    readable,
    require_columns,
    row_at,
    write_record,
    write_rows,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.messages import SYSTEM
from pipeline.contract.units import size

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

STAGE = "prepare"
NO_GROUP = -1
"""The near-duplicate group of an example that has no near-duplicate."""
_GROUP = "duplicate_group"
_DOCUMENT = "document_id"
_LABELLED = "labelled"
_TURNS = "turns"
_ORIGIN = (
    "example_id", _DOCUMENT, "chunk", "chunks", "text", "n_tokens", _GROUP, "source", "row",
)  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """What one speaker says in an example of a conversation; or a prompt, or its completion."""

    role: str
    """A message's role, or "prompt" or "completion"."""
    text: str
    labelled: bool
    """Whether it carries loss, that is, whether the model is trained to say it."""


@dataclass(frozen=True)
class ExampleRow:
    """A row of the files: what the model is trained on as one sequence."""

    example_id: str
    """The document's id, with "#<chunk>" added where the document has several chunks."""
    document_id: str
    chunk: int
    """0-based position in its document."""
    chunks: int
    """How many chunks the document has."""
    text: str
    tokens: Sequence[int]
    n_tokens: int
    duplicate_group: int
    """Near-duplicates share one; `NO_GROUP` where there is none."""
    source: str
    """File or dataset that the document was read from."""
    row: int
    """0-based row in it."""
    labelled: Sequence[int] | None = None
    """Which tokens carry loss, see `run_lengths`; None = all, as in plain text."""
    turns: Sequence[Turn] | None = None
    """Who says what in it; None in plain text."""


def run_lengths(labelled: Sequence[bool]) -> list[int]:
    """How many tokens in a row carry no loss, how many then do, how many then do not, and so on."""
    lengths, on = [0], False
    for one in labelled:
        if one != on:
            lengths.append(0)
            on = one
        lengths[-1] += 1
    return lengths


@lru_cache(maxsize=1)
def example_schema() -> pa.Schema:
    """The columns of `examples.parquet` and `validation.parquet` for a corpus of plain text."""
    import pyarrow as pa

    return pa.schema(
        [
            ("example_id", pa.string()),
            (_DOCUMENT, pa.string()),
            ("chunk", pa.int32()),
            ("chunks", pa.int32()),
            ("text", pa.string()),
            ("tokens", pa.list_(pa.int32())),
            ("n_tokens", pa.int32()),
            (_GROUP, pa.int32()),
            ("source", pa.string()),
            ("row", pa.int64()),
        ]
    )


@lru_cache(maxsize=1)
def turns_schema() -> pa.Schema:
    """As `example_schema`, for a corpus of completions or conversations."""
    import pyarrow as pa

    turn = pa.struct([("role", pa.string()), ("text", pa.string()), (_LABELLED, pa.bool_())])
    fields = pa.schema([(_LABELLED, pa.list_(pa.int32())), (_TURNS, pa.list_(turn))])
    return pa.unify_schemas([example_schema(), fields])


def write_examples(path: Path, rows: Iterable[ExampleRow], with_turns: bool = False) -> None:
    """Writes examples that need not lie in memory as a whole."""
    write_rows(path, turns_schema() if with_turns else example_schema(), map(asdict, rows))


def split_examples(
    path: Path, groups: Sequence[int], held_out: set[str], examples: Path, validation: Path
) -> None:
    """Copies a file of examples into one for training and one for validation.

    Each example gets its near-duplicate group [N]; those of the documents `held_out` are for
    validation.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from pipeline.contract.files import replacing

    with pq.ParquetFile(path) as source:
        schema = source.schema_arrow
    with (
        pq.ParquetFile(path) as source,
        replacing(examples) as training_part,
        replacing(validation) as validation_part,
        pq.ParquetWriter(training_part, schema) as training_writer,
        pq.ParquetWriter(validation_part, schema) as validation_writer,
    ):
        done = 0
        for batch in source.iter_batches():
            column = pa.array(groups[done : done + len(batch)], pa.int32())
            position = schema.get_field_index(_GROUP)
            table = pa.Table.from_batches([batch]).set_column(position, _GROUP, column)
            away = pa.array([name in held_out for name in table[_DOCUMENT].to_pylist()])
            training_writer.write_table(table.filter(pc.invert(away)))
            validation_writer.write_table(table.filter(away))
            done += len(batch)


def read_examples(
    run: RunDir, path: Path | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Reads the training examples, or those of another file of the run.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it does not hold examples.
    """
    path = path or run.examples
    stage = path.relative_to(run.root).parts[0]  # each stage writes below a folder of its name
    return read_table(run, stage, path, example_schema(), columns)


def ids_of(table: pa.Table) -> list[str]:
    """The examples' ids, of a table that `read_examples` gave."""
    return list(table["example_id"].to_pylist())


def documents_of(table: pa.Table) -> list[str]:
    """The document of each example."""
    return list(table[_DOCUMENT].to_pylist())


def texts_of(table: pa.Table) -> list[str]:
    """The examples' texts."""
    return list(table["text"].to_pylist())


def lengths_of(table: pa.Table) -> NDArray[np.int32]:
    """How many tokens each example has."""
    return numbers(table["n_tokens"].combine_chunks())


def rows_of(table: pa.Table) -> list[tuple[str, int]]:
    """Where each example was read: the source, and the 0-based row in it."""
    return list(zip(table["source"].to_pylist(), table["row"].to_pylist(), strict=True))


def groups_of(table: pa.Table) -> NDArray[np.int32]:
    """The near-duplicate group of each example."""
    return numbers(table[_GROUP].combine_chunks())


def read_example_ids(run: RunDir, path: Path | None = None) -> list[str]:
    """Ids of the examples, in their order; see `read_examples`."""
    return _column(run, path, "example_id")


def read_document_ids(run: RunDir, path: Path | None = None) -> list[str]:
    """The document of every example, in their order; see `read_examples`."""
    return _column(run, path, _DOCUMENT)


def read_texts(run: RunDir, path: Path | None = None) -> list[str]:
    """Texts of the examples, in their order; see `read_examples`."""
    return _column(run, path, "text")


def read_tokens(run: RunDir, path: Path | None = None) -> list[NDArray[np.int32]]:
    """Token ids of the examples, in their order; see `read_examples`."""
    column = read_examples(run, path, ["tokens"])["tokens"]
    return [numbers(row.values) for row in column]


def read_labelled(run: RunDir, path: Path | None = None) -> list[NDArray[np.bool_]] | None:
    """Which tokens of each example carry loss; None in a corpus of plain text, where all do."""
    import numpy as np

    if not _has_turns(run, path or run.examples):
        return None
    column = read_examples(run, path, [_LABELLED])[_LABELLED]
    runs = (numbers(row.values) for row in column)
    return [np.repeat(np.arange(len(row)) % 2 == 1, row) for row in runs]


def _has_turns(run: RunDir, path: Path) -> bool:
    import pyarrow.parquet as pq

    with readable(run, STAGE, path), pq.ParquetFile(path) as file:
        require_columns(run, STAGE, path, file.schema_arrow, example_schema())
        return _TURNS in file.schema_arrow.names


def contents_of(table: pa.Table) -> list[str]:
    """What the examples say, for methods that compare words: of a conversation neither the names of
    its roles nor what the system says, which many have in common."""
    if _TURNS not in table.column_names:
        return texts_of(table)
    return [_said(turns) for turns in table[_TURNS].to_pylist()]


def read_contents(run: RunDir) -> list[str]:
    """As `contents_of`, of the training examples."""
    return contents_of(read_examples(run))


def read_turns(run: RunDir, position: int) -> tuple[Turn, ...]:
    """Who says what in the training example at a position; none in plain text.

    Raises:
        MissingResultError: there are no examples.
        DamagedResultError: they are damaged.
    """
    import pyarrow.parquet as pq

    path = run.examples
    if not _has_turns(run, path):
        return ()
    with readable(run, STAGE, path), pq.ParquetFile(path) as file:
        found = row_at(file, position, [_TURNS])[_TURNS]
    return tuple(Turn(**turn) for turn in found)


def read_text_at(run: RunDir, position: int) -> str:
    """The text of the training example at a position.

    Raises:
        MissingResultError: there are no examples.
        DamagedResultError: they are damaged.
    """
    import pyarrow.parquet as pq

    with readable(run, STAGE, run.examples), pq.ParquetFile(run.examples) as file:
        require_columns(run, STAGE, run.examples, file.schema_arrow, example_schema())
        return str(row_at(file, position, ["text"])["text"])


def _said(turns: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(turn["text"] for turn in turns if turn["role"] not in SYSTEM)


def read_origins(run: RunDir, path: Path | None = None, mark: str = "") -> pa.Table:
    """All of the examples but their tokens, `mark` put before the ids; see `read_examples`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_examples(run, path, _ORIGIN).combine_chunks()
    if not mark:
        return table
    marks, nothing = (_repeated(text, table.num_rows) for text in (mark, ""))
    marked = [
        pc.binary_join_element_wise(pa.chunked_array([marks]), table[column], nothing)
        for column in _ORIGIN[:2]
    ]
    return pa.table([*marked, *table.columns[2:]], names=table.column_names)


def _repeated(text: str, count: int) -> pa.Array:
    """A text so many times. Handed to PyArrow as a value, it would be looked at by pandas."""
    import numpy as np
    import pyarrow as pa

    letters = text.encode()
    ends = (np.arange(count + 1) * len(letters)).astype(np.int32)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(letters * count)]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def iterate_contents(run: RunDir, path: Path) -> Iterator[list[str]]:
    """As `contents_of`, in batches, where the examples are too many to be read at once.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it does not hold examples.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(run, STAGE, path), pq.ParquetFile(path) as file:
        require_columns(run, STAGE, path, file.schema_arrow, example_schema())
        column = _TURNS if _TURNS in file.schema_arrow.names else "text"
        for batch in file.iter_batches(columns=[column]):
            yield contents_of(pa.Table.from_batches([batch]))


def _column(run: RunDir, path: Path | None, name: str) -> list[Any]:
    values: list[Any] = read_examples(run, path, [name])[name].to_pylist()
    return values


@dataclass(frozen=True)
class FileAccount:
    """What became of one file of the corpus, or of one dataset."""

    file: str
    bytes: int
    """Of the rows that were read; 0 where the source does not tell."""
    lines: int
    """0 for files without lines."""
    documents: int
    read_share: float
    """Of its bytes (of its rows where bytes are not known), those that are not in rows that could
    not be read."""

    def described(self) -> str:
        """The figures in one line."""
        lines = f", {self.lines:,} lines" if self.lines else ""
        documents = f"{self.documents:,} document{'' if self.documents == 1 else 's'}"
        whole = size(self.bytes) if self.bytes else "the rows"
        return f"{self.read_share:.2%} of {whole}{lines} became {documents}"


@dataclass(frozen=True)
class CorpusSummary:
    """The corpus in figures."""

    source: str
    """The path or the name of what was read."""
    documents_read: int
    empty: int
    """Rows that held no text."""
    unreadable: int
    documents: int
    chunked_documents: int
    """Documents that were cut into several examples."""
    examples: int
    """For training."""
    validation_examples: int
    tokens: int
    """Of all examples."""
    duplicate_groups: int
    duplicates: int
    """Examples that are in some group."""
    vocab_size: int
    form: str = "text"
    """What the documents are: plain text, completions or conversations ("chat")."""
    answers: int = 0
    """Completions, or turns of the assistant, that carry loss; 0 in plain text."""
    answers_dropped: int = 0
    """Turns of the assistant that are longer, with what they answer, than a sequence may be."""
    rewritten: int = 0
    """Conversations of which each answer is an example of its own, because the chat template
    rewrites earlier turns."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Why documents could not be used, and how many; beside those that are unreadable."""
    bytes_read: int = 0
    """Of all rows; 0 where the source does not tell, and in runs of old."""
    lines_read: int = 0
    read_share: float | None = None
    """Of the bytes that were read, those that became documents or held no text."""
    files: tuple[FileAccount, ...] = ()
    """The files that lost most first; of many files only the first."""

    def rows(self) -> Iterator[tuple[str, str | int]]:
        """Every figure with its name in words; of the files those that lost something."""
        beyond_text = ("form", "answers", "answers_dropped", "rewritten")
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "read_share" and value is not None:
                yield "share of the bytes that became documents", f"{value:.2%}"
            elif isinstance(value, str | int) and (
                self.form != "text" or one.name not in beyond_text
            ):
                yield one.name.replace("_", " "), value
        for reason, count in self.refused.items():
            yield f"refused: {reason}", count
        for account in self.files:
            if account.read_share < 1:
                yield f"lost of {PurePath(account.file).name}", account.described()


def write_corpus_summary(run: RunDir, summary: CorpusSummary) -> None:
    """Writes the summary."""
    write_record(run.summary(STAGE), summary)


def read_corpus_summary(run: RunDir) -> CorpusSummary:
    """Reads the summary.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: it is not what the prepare stage writes.
    """
    return read_record(run, STAGE, run.summary(STAGE), CorpusSummary)


def source_label(source: str, row: int) -> str:
    """Where a text was read, for reading: "books.jsonl row 12".

    Of a path the last part alone: paths are long, and it is the end that says which file it is.
    """
    return f"{PurePath(source).name} row {row}"
