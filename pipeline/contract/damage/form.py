"""Whether a file can be read as what its name says, where it is not known what it should hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.contract.files import open_regular

_MAY_BE_EMPTY = (".jsonl", ".txt", ".md", ".csv")


def form_fault(path: Path) -> str:
    """What is wrong with the form of a file; "" if nothing is, or its kind is not known."""
    try:
        open_regular(path).close()
        if path.stat().st_size == 0 and path.suffix not in _MAY_BE_EMPTY:
            return "it is empty"
        if reader := _READERS.get(path.suffix):
            reader(path)
    except (OSError, ValueError, RecursionError) as error:  # PyArrow's and JSON's are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return f"it cannot be read: {reason}"
    return ""


def _json(path: Path) -> None:
    json.loads(path.read_bytes())


def _json_lines(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                json.loads(line)


def _parquet(path: Path) -> None:
    import pyarrow.parquet as pq  # PyArrow and NumPy only where there is such a file

    with pq.ParquetFile(path) as file:
        for _ in file.iter_batches():
            pass


def _safetensors(path: Path) -> None:
    from pipeline.contract.results.tensors import TensorFile

    TensorFile(path)


def _npy(path: Path) -> None:
    import numpy as np

    np.load(path, mmap_mode="r")


_READERS: Mapping[str, Callable[[Path], None]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
    ".npy": _npy,
}
