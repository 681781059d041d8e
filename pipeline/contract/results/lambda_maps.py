"""lambda_maps.parquet: Λ of every strategy and module, reduced to what a terminal can show."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline.contract.files import replacing
from pipeline.contract.results import common
from pipeline.contract.results.spectra import STAGE
from pipeline.contract.run.freshness import Done
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class LambdaMap:
    """Λ as block means, the largest directions first; NaN where a block has no finite value."""

    outputs: int
    """Of the whole Λ."""
    inputs: int
    rows: int
    """Of the values."""
    columns: int
    values: array[float]
    """float32, row by row."""


WriteMaps = Callable[[Mapping[tuple[str, str], LambdaMap]], None]
"""Writes the maps of one layer by strategy and module."""


@contextmanager
def lambda_map_writer(run: RunDir) -> Iterator[WriteMaps]:
    """Opens lambda_maps.parquet for writing layer by layer: all maps would fill the memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with (
        replacing(run.lambda_maps) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=False) as file,
    ):

        def write(maps: Mapping[tuple[str, str], LambdaMap]) -> None:
            rows = [
                {**vars(one), "strategy": strategy, "module": module, "values": one.values.tolist()}
                for (strategy, module), one in maps.items()
            ]
            file.write_table(pa.Table.from_pylist(rows, schema))

        yield write


def read_lambda_map(run: RunDir, strategy: str, module: str) -> LambdaMap | None:
    """Reads one module's Λ; None where there is none, as in all results of format 1.

    Raises:
        MissingResultError: there is no lambda_maps.parquet.
        DamagedResultError: it is not what the stage writes.
    """
    path, done = run.lambda_maps, Done.read(STAGE, run)
    if done is not None and done.format == 1 and not path.exists():
        return None  # inspect wrote no maps at first
    key = {"strategy": strategy, "module": module}
    row = common.read_row(run, STAGE, path, _schema(), key)
    if row is None:
        return None
    outputs, inputs, rows, columns = (
        row[name] or 0 for name in ("outputs", "inputs", "rows", "columns")
    )
    values = row["values"] or []
    if min(outputs, inputs, rows, columns) < 1 or len(values) != rows * columns or None in values:
        raise common.damaged(run, STAGE, path, f"{module}: its values do not fill its shape")
    return LambdaMap(outputs, inputs, rows, columns, array("f", values))


@lru_cache
def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("strategy", pa.string()),
            ("module", pa.string()),
            ("outputs", pa.int64()),
            ("inputs", pa.int64()),
            ("rows", pa.int32()),
            ("columns", pa.int32()),
            ("values", pa.list_(pa.float32())),
        ]
    )
