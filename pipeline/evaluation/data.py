"""The rows of public benchmarks: from the hub, or from a folder in the hub's column layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from pydantic import BaseModel, ValidationError

from pipeline.contract.errors import DataError, HubUnreachableError
from pipeline.contract.settings.schema import DataSettings
from pipeline.contract.wording import shorten
from pipeline.corpus.files import file_rows
from pipeline.corpus.hub import hub_rows
from pipeline.corpus.rows import Row

Record = dict[str, Any]  # Any: cells whose types the layout of the benchmark has checked
HUB = "hub"
_SUFFIXES = (".jsonl", ".parquet")


class BenchmarkData:
    """Gives rows by the hub's names; `source` is "hub" or a folder."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._read: dict[tuple[str, str, str], list[Record]] = {}

    def rows(self, name: str, config: str, split: str, layout: type[BaseModel]) -> list[Record]:
        """All rows of a split, read once, with the columns of the layout.

        Raises:
            DataError: no such file, data set or column, or a row that cannot be read or whose
                cells are not what the layout says.
            HubUnreachableError: the hub does not answer.
        """
        key = (name, config, split)
        if key not in self._read:
            source = self._from_hub if self._source == HUB else self._from_folder
            rows = source(name, config, split, list(layout.model_fields))
            self._read[key] = [_checked(row, layout) for row in rows]
        return self._read[key]

    def _from_folder(self, name: str, config: str, split: str, columns: Sequence[str]) -> list[Row]:
        if not Path(self._source).is_dir():
            raise DataError(f"benchmark.data: there is no folder {self._source}")
        folder = Path(self._source) / name.replace("/", "__") / config
        files = [folder / f"{split}{suffix}" for suffix in _SUFFIXES]
        path = next((file for file in files if file.is_file()), None)
        if path is None:
            raise DataError(
                f"{name}: there is no {files[0]} (nor {files[1].name})",
                f"benchmark.data = {self._source!r} is the folder that was looked in; it needs "
                f"{name.replace('/', '__')}/{config} with the hub's rows, one file a split",
            )
        try:
            rows = list(file_rows(path, columns, warn=lambda _message: None))
        except DataError as error:
            hint = f"a benchmark's file has the hub's columns; {name} needs {', '.join(columns)}"
            raise DataError(error.message, hint) from error
        return rows

    def _from_hub(self, name: str, config: str, split: str, columns: Sequence[str]) -> list[Row]:
        chosen = "" if config == "default" else config
        settings = DataSettings(source="hub", path=name, config=chosen, split=split)
        try:
            return list(hub_rows(settings, columns))
        except HubUnreachableError as error:
            missing = f"{name.replace('/', '__')}/{config}/{split}.jsonl"
            raise HubUnreachableError(
                f"benchmark {name}: the hub does not answer, and {config}/{split} is not in the "
                f"cache, {datasets.config.HF_DATASETS_CACHE}",
                f"set benchmark.data to a folder that holds {missing}, or try again with the hub "
                "in reach",
            ) from error
        except DataError as error:
            raise DataError(error.message, f"{name} needs {', '.join(columns)}") from error


def _checked(row: Row, layout: type[BaseModel]) -> Record:
    """The cells, known to be what the benchmark's prompts are made of."""
    if row.fault:
        raise DataError(f"{row.location}: {row.fault}")
    try:
        return layout.model_validate(row.cells).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        column = ".".join(str(part) for part in first["loc"])
        value = f" = {shorten(repr(first['input']), 60)[0]}" if column else ""
        fault = first["msg"].removeprefix("Value error, ")
        hint = "a benchmark's rows are taken whole or not at all: mend this one, or leave it out"
        raise DataError(f"{row.location}: {column}{value}: {fault}", hint) from error
