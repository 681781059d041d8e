"""Hub datasets. A folder stands in for one where the hub itself is not what is tested."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DataError
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.readers import read_documents
from tests.pipeline.corpus.scripted_hub import ScriptedHub

CARD = """---
configs:
- config_name: small
  data_files: [{split: train, path: small.parquet}]
- config_name: large
  data_files: [{split: train, path: large/*}, {split: test, path: small.parquet}]
---
"""


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import datasets

    kept = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("cache")
    yield
    datasets.config.HF_DATASETS_CACHE = kept


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / "large").mkdir()
    pq.write_table(pa.table({"body": ["a", "", "c"], "n": [1, 2, 3]}), tmp_path / "small.parquet")
    for part in (0, 1):
        rows = {"body": [f"{part}-{n}" for n in range(400)], "n": range(400)}
        pq.write_table(pa.table(rows), tmp_path / "large" / f"{part}.parquet")
    return tmp_path


def texts(dataset: Path, **settings: Any) -> list[str]:
    given: dict[str, Any] = {"text_column": "body", "config": "large", **settings}
    data = DataSettings(source="hub", path=str(dataset), **given)
    reading = ReadCounts(strict=True, warn=lambda message: None)
    return [document.text for document in read_documents(data, 0, reading)]


@pytest.mark.parametrize("streaming", [False, True])
def test_config_split_column_and_limit_are_obeyed(dataset: Path, streaming: bool) -> None:
    assert texts(dataset, split="test", streaming=streaming) == ["a", "c"]
    assert texts(dataset, config="small", streaming=streaming) == ["a", "c"]
    assert len(texts(dataset, streaming=streaming)) == 800
    assert texts(dataset, limit=2, streaming=streaming) == ["0-0", "0-1"]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"config": "huge"}, ["huge", "small", "large"]),
        ({"config": ""}, ["small", "large"]),
        ({"split": "validation"}, ["validation", "train", "test"]),
        ({"text_column": "text"}, ["'text'", "body, n"]),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(
    dataset: Path, settings: dict[str, Any], named: list[str], streaming: bool
) -> None:
    with pytest.raises(DataError) as raised:
        texts(dataset, streaming=streaming, **settings)
    assert all(name in raised.value.message for name in [str(dataset), *named])


@pytest.mark.parametrize("streaming", [False, True])
def test_a_damaged_part_is_a_data_error(dataset: Path, streaming: bool) -> None:
    (dataset / "large" / "1.parquet").write_text("not Parquet at all")
    with pytest.raises(DataError, match="dataset"):
        texts(dataset, streaming=streaming)


def test_what_only_a_script_could_load_is_read_as_the_hub_converted_it(tmp_path: Path) -> None:
    code = (
        "from pipeline.contract.settings.schema import DataSettings\n"
        "from pipeline.corpus.hub import hub_rows\n"
        "for config, streaming in (('navigate', False), ('navigate', True), ('snarks', False)):\n"
        "    data = DataSettings(source='hub', path='some/scripted', config=config, split='test',\n"
        "                        streaming=streaming)\n"
        "    print([row.cells['input'] for row in hub_rows(data, ['input', 'target'])])\n"
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), ScriptedHub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        reached = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **reached},
            capture_output=True,
            text=True,
            check=True,
        )
        server.shutdown()
    assert done.stdout.splitlines() == ["['q1', 'q2']", "['q1', 'q2']", "['other']"]


def test_a_hub_out_of_reach_is_one_line_that_names_the_way_out(tmp_path: Path) -> None:
    code = (
        "from pipeline.contract.settings.schema import DataSettings\n"
        "from pipeline.contract.errors import HubUnreachableError\n"
        "from pipeline.corpus.read_counts import ReadCounts\n"
        "from pipeline.corpus.readers import read_documents\n"
        "data = DataSettings(source='hub', path='someone/some-corpus')\n"
        "try:\n"
        "    next(read_documents(data, 0, ReadCounts(True, print)))\n"
        "except HubUnreachableError as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    (line,) = done.stdout.splitlines()
    assert "'someone/some-corpus'" in line
    assert 'data.source = "local"' in line
