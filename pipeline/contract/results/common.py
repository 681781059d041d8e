"""What all artefacts share: is it there, is it whole, which version wrote it, is it up to date.

Whatever is read here raises `MissingResultError` or `DamagedResultError` and nothing else. Only
what a file holds is judged: an error in the code that uses it keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.contract.errors import DamagedResultError, HeadwaterError, MissingResultError
from pipeline.contract.files import open_regular, replacing, write_json
from pipeline.contract.results.migrations import migrate
from pipeline.contract.run.checksums import known_files, quick_fault
from pipeline.contract.run.freshness import FORMAT, Done, is_fresh
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyarrow.parquet import ParquetFile
    from pydantic import TypeAdapter

    Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)

T = TypeVar("T")
Row = dict[str, Any]  # Any: a row as PyArrow gives it; its columns are checked by their schema

_BATCH_ROWS = 512
_BATCH_ITEMS = 1 << 23
"""Letters and list items of a batch, from which it is written whatever the number of rows."""


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """What a finished stage wrote."""

    value: T
    fresh: bool
    """Whether the stage has finished with the settings and inputs that hold now."""


def load(run: RunDir, stage: str, read: Callable[[RunDir], T]) -> Loaded[T]:
    """A result of a finished stage, read by `read`, and whether it is up to date.

    Raises:
        MissingResultError: the stage has not finished, or a file of it is gone.
        DamagedResultError: a file is not what the stage writes, or another version wrote it.
    """
    require_finished(run, stage)
    return Loaded(read(run), _is_fresh(run, stage))


def require_finished(run: RunDir, stage: str) -> Done:
    """The stage's finish.

    Raises:
        MissingResultError: it has not finished.
        DamagedResultError: a newer version of Headwater wrote its results.
    """
    done = Done.read(stage, run)
    if done is None:
        makes, command = STAGES[stage].makes, STAGES[stage].command(run.name)
        raise MissingResultError(
            f"no {makes} yet: the {stage} stage has not finished",
            f"run {stage} on the run's screen, or by `{command}`",
            stage,
        )
    if done.format > FORMAT:
        raise DamagedResultError(
            f"the {stage} stage's results were written by version {done.format} of their format; "
            f"this program reads versions up to {FORMAT}",
            f"update Headwater, or `{rewrite_command(run, stage)}` writes them anew",
        )
    return done


def rewrite_command(run: RunDir, stage: str) -> str:
    """The command that writes a stage's results anew."""
    return f"headwater run {stage} --force --run {run.name}"


def _is_fresh(run: RunDir, stage: str) -> bool:
    from pipeline.contract.settings.loading import load_settings  # pydantic takes a while

    try:
        return is_fresh(stage, load_settings(run.settings), run)
    except HeadwaterError:  # settings that cannot be read are not those that the stage has read
        return False


def write_record(path: Path, record: Any) -> None:
    """Writes a frozen dataclass as JSON, whole or not at all."""
    write_json(path, asdict(record))


def was_written(run: RunDir, stage: str, path: Path) -> bool:
    """Whether a stage wrote a file that not every stage of its name writes: it is there, or the
    stage has finished and its checksums name it, so that reading says that it is missing."""
    return path.exists() or (run.done(stage).exists() and path in known_files(stage, run))


def read_record(run: RunDir, stage: str, path: Path, kind: type[T]) -> T:
    """Reads JSON that `write_record` wrote for a stage; older formats are migrated.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it does not hold a `kind`; names the first key that is wrong.
    """
    import json

    with readable(run, stage, path):
        value = json.loads(path.read_bytes())
    done = Done.read(stage, run)
    version = done.format if done else FORMAT
    value = migrate(kind.__name__, version, value)
    if value is None:
        raise older(run, stage, version)
    return checked(run, stage, path, kind, value)


def checked(run: RunDir, stage: str, path: Path, kind: type[T], value: Any) -> T:
    """JSON's own values as a dataclass, every type checked.

    Raises:
        DamagedResultError: names the file and the first key that is wrong.
    """
    from pydantic import ValidationError

    try:
        instance: T = _adapter(kind).validate_python(value)  # type: ignore[arg-type]
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, fault["loc"])) or "the whole"
        raise damaged(run, stage, path, f"{key}: {fault['msg']}") from error
    return instance


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Checks what a dataclass is made of. To make one takes ten times as long as to check."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def write_table(path: Path, table: pa.Table, **options: Any) -> None:
    """Writes a table as Parquet, whole or not at all; `options` are PyArrow's."""
    import pyarrow.parquet as pq

    with replacing(path) as temporary:
        pq.write_table(table, temporary, **{"compression": "zstd", **options})


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows as Parquet, whole or not at all; they never lie in memory all together."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for batch in _batches(rows):
            writer.write_table(pa.Table.from_pylist(batch, schema))


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """The rows in batches of so many, or of fewer where they are long."""
    batch: list[Mapping[str, Any]] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += sum(len(value) for value in row.values() if isinstance(value, str | list))
        if len(batch) == _BATCH_ROWS or held >= _BATCH_ITEMS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def read_table(
    run: RunDir, stage: str, path: Path, schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    """Reads Parquet, every column of `schema` checked; columns beyond it are kept.

    No filter is taken: PyArrow would import pandas for one.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it is no Parquet file, or a column is missing or of another type.
    """
    import pyarrow.parquet as pq

    with readable(run, stage, path), pq.ParquetFile(path) as file:
        require_columns(run, stage, path, file.schema_arrow, schema)
        return file.read(list(columns) if columns is not None else None)


def read_row(
    run: RunDir, stage: str, path: Path, schema: pa.Schema, key: Mapping[str, Any]
) -> Row | None:
    """Reads the first row whose columns have the values of `key`, and only the row group around it.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it is no Parquet file, or a column is missing or of another type.
    """
    import pyarrow.parquet as pq

    with readable(run, stage, path), pq.ParquetFile(path) as file:
        require_columns(run, stage, path, file.schema_arrow, schema)
        columns = file.read(list(key)).to_pydict()
        keys = list(zip(*(columns[name] for name in key), strict=True))
        wanted = tuple(key.values())
        return row_at(file, keys.index(wanted)) if wanted in keys else None


def where(rows: Rows, mask: Sequence[bool]) -> Rows:
    """The rows of a table or a batch [N] for which a mask [N] says yes.

    PyArrow is handed bits, not values: it would import pandas to look at these.
    """
    import numpy as np
    import pyarrow as pa

    bits = pa.py_buffer(np.packbits(np.asarray(mask, bool), bitorder="little").tobytes())
    return rows.filter(pa.Array.from_buffers(pa.bool_(), len(mask), [None, bits]))


def numbers(values: pa.Array) -> NDArray[Any]:
    """An array [N] of numbers, none of them missing, for NumPy. `to_numpy` would import pandas."""
    import numpy as np

    return np.from_dlpack(values)


def row_at(file: ParquetFile, index: int, columns: Sequence[str] | None = None) -> Row:
    """A row by its number, of which only the row group around it is read."""
    group = 0
    while index >= (count := file.metadata.row_group(group).num_rows):
        index, group = index - count, group + 1
    row: Row = file.read_row_group(group, columns).slice(index, 1).to_pylist()[0]
    return row


def require_columns(
    run: RunDir, stage: str, path: Path, actual: pa.Schema, schema: pa.Schema
) -> None:
    """Checks that a file has the columns of a schema.

    Raises:
        DamagedResultError: names the first column that is missing or of another type.
    """
    for field in schema:
        position = actual.get_field_index(field.name)
        if position < 0:
            raise damaged(run, stage, path, f"there is no column {field.name}")
        if actual.field(position).type != field.type:
            reason = f"column {field.name} is {actual.field(position).type}, not {field.type}"
            raise damaged(run, stage, path, reason)


@contextmanager
def readable(run: RunDir, stage: str, path: Path) -> Iterator[None]:
    """Turns what a library says of a file that it cannot read into one of our two errors.

    Only the library's calls belong into the block. A file that is not the one that the stage wrote
    is never read, as far as its size and a few of its blocks tell.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it cannot be read, or another lies in its place.
    """
    require_same(run, stage, path)
    try:
        if path.exists():
            open_regular(path).close()
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise missing(run, stage, path) from error
    except (OSError, ValueError, RecursionError) as error:  # PyArrow's and JSON's are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise damaged(run, stage, path, reason) from error


def require_same(run: RunDir, stage: str, path: Path) -> None:
    """Checks by a file's size and a few blocks that it is the one that the stage wrote.

    Raises:
        DamagedResultError: it is another one.
    """
    if fault := quick_fault(stage, path, run):
        raise damaged(run, stage, path, fault)


def missing(run: RunDir, stage: str, path: Path) -> MissingResultError:
    """Says that a file of a finished stage is gone."""
    return MissingResultError(
        f"{_within(run, path)} is gone", f"`{rewrite_command(run, stage)}` writes it anew"
    )


def damaged(run: RunDir, stage: str, path: Path, reason: str) -> DamagedResultError:
    """Says that a file is not what the stage writes, and why."""
    return DamagedResultError(
        f"{_within(run, path)} is damaged: {reason}",
        f"`{rewrite_command(run, stage)}` writes it anew",
    )


def older(run: RunDir, stage: str, version: int) -> DamagedResultError:
    """Says that a version wrote a result which cannot be migrated."""
    return DamagedResultError(
        f"the {stage} stage's results were written by version {version} of their format, "
        f"which lacks what is shown here",
        f"`{rewrite_command(run, stage)}` writes them anew",
    )


def _within(run: RunDir, path: Path) -> str:
    """The path below the run's folder."""
    return str(path.relative_to(run.root)) if path.is_relative_to(run.root) else str(path)
