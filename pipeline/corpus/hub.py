"""Reads rows of a dataset on the Hugging Face hub, downloaded first or streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import datasets
from httpx2 import HTTPError, TransportError
from huggingface_hub.errors import HfHubHTTPError

from pipeline.contract.errors import DataError, HeadwaterError, HubUnreachableError
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus.rows import Row, check_columns, present

_BATCH_ROWS = 256
_SERVER_ERROR = 500
"""Lowest HTTP status of an error of the server's own."""
_SCRIPT = "Dataset scripts are no longer supported"
_NOT_CACHED = "Couldn't find cache for"
"""Error message if the configuration is not cached but others are: offline, or a script's."""
_CONVERTED = "refs/convert/parquet"


def hub_rows(
    data: DataSettings, wanted: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """Yields the rows of the dataset's split, in its order.

    Raises:
        DataError: no such dataset, configuration, split or column.
        HubUnreachableError: the hub does not answer, and the dataset is not cached.
    """
    with _hub_errors_explained(data.path):
        dataset = _load_split(data)
        columns: list[str] = dataset.column_names or list(next(iter(dataset), {}))
        check_columns(wanted, columns, f"dataset {data.path}")
        number, names = 0, present(wanted, optional, columns)
        # images or audio in other columns would be decoded with every row
        for batch in dataset.select_columns(names).iter(_BATCH_ROWS):
            for values in zip(*(batch[name] for name in names), strict=True):
                yield Row(data.path, number, dict(zip(names, values, strict=True)))
                number += 1


def _load_split(data: DataSettings) -> Any:
    """Loads the split; of a dataset with a loading script, the hub's conversion to Parquet."""
    load = partial(datasets.load_dataset, data.path, split=data.split, streaming=data.streaming)
    try:
        return load(name=data.config or None)
    except (RuntimeError, ValueError) as error:
        if not str(error).startswith((_SCRIPT, _NOT_CACHED)):
            raise
    # `datasets` no longer runs loading scripts, but the hub keeps their output as Parquet
    split = data.split.partition("[")[0]
    files = {split: f"{data.config or 'default'}/{split}/*.parquet"}
    return load(data_files=files, revision=_CONVERTED)


@contextmanager
def _hub_errors_explained(name: str) -> Iterator[None]:
    """Turns the libraries' errors into HubUnreachableError or DataError."""
    try:
        yield
    except HeadwaterError:
        raise
    except (OSError, HTTPError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as e:
        if _is_unreachable(e):
            raise HubUnreachableError(
                f"dataset {name!r}: the hub does not answer and it is not cached here; "
                'for local files set data.source = "local" and data.path to their folder'
            ) from e
        if isinstance(e, OSError) and e.errno is not None:
            raise  # an error of the local disk, not of the dataset
        raise DataError(f"dataset {name!r}: {' '.join(str(e).split())}") from e


def _is_unreachable(error: BaseException) -> bool:
    """Whether the hub did not answer, as opposed to answering that something does not exist."""
    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code >= _SERVER_ERROR
    return isinstance(error, ConnectionError | TimeoutError | TransportError) or str(
        error
    ).startswith(_NOT_CACHED)
