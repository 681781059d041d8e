"""What is wrong with a result is one of two errors, which name the file and what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.results import common
from pipeline.contract.results.tensors import TensorFile, open_tensors
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings


@dataclass(frozen=True)
class Part:
    name: str
    value: float | None


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    counts: dict[str, int]


WHOLE = Whole((Part("a", 1.5), Part("b", None)), {"a": 1})
SCHEMA = pa.schema([("id", pa.string()), ("score", pa.float32())])


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "demo")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")))
    return run


def finish(run: RunDir, stage: str) -> None:
    settings = load_settings(run.settings)
    fingerprint = freshness.begin(stage, settings, run)
    freshness.finish(stage, fingerprint, settings, run, 1.0)


def read(run: RunDir) -> Whole:
    return common.read_record(run, "report", run.summary("report"), Whole)


def test_a_record_comes_back_as_it_was_written(run: RunDir) -> None:
    finish(run, "report")
    common.write_record(run.summary("report"), WHOLE)
    assert common.load(run, "report", read) == common.Loaded(WHOLE, fresh=True)


def test_a_stage_that_has_not_finished_is_missing_and_says_how_to_run_it(run: RunDir) -> None:
    common.write_record(run.summary("report"), WHOLE)
    with pytest.raises(MissingResultError, match="no report yet") as caught:
        common.load(run, "report", read)
    assert "`headwater report demo`" in caught.value.hint


def test_a_result_under_other_settings_is_not_fresh(run: RunDir) -> None:
    finish(run, "prepare")
    common.write_record(run.summary("prepare"), WHOLE)
    run.settings.write_text(run.settings.read_text().replace("seed = 0", "seed = 7"))
    found = common.load(
        run, "prepare", lambda r: common.read_record(r, "prepare", r.summary("prepare"), Whole)
    )
    assert found == common.Loaded(WHOLE, fresh=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[]", "the whole"),
        ('{"parts": [], "counts": {"a": "many"}}', "counts.a"),
        ('{"parts": [{"name": 1, "value": 1}], "counts": {}}', "parts.0.name"),
        ('{"counts": {}}', "parts"),
        ("[" * 100_000, "is damaged"),
    ],
)
def test_a_damaged_record_is_named_with_its_key(run: RunDir, text: str, told: str) -> None:
    finish(run, "report")
    run.summary("report").write_text(text)
    with pytest.raises(DamagedResultError, match=r"report/summary\.json") as caught:
        read(run)
    assert told in caught.value.message
    assert "--force --run demo" in caught.value.hint


def test_results_of_a_newer_version_are_refused(run: RunDir) -> None:
    finish(run, "report")
    done = json.loads(run.done("report").read_text())
    run.done("report").write_text(json.dumps({**done, "format": freshness.FORMAT + 1}))
    common.write_record(run.summary("report"), WHOLE)
    with pytest.raises(DamagedResultError, match=f"version {freshness.FORMAT + 1}"):
        common.load(run, "report", read)


@pytest.mark.parametrize("text", ["[]", "{}", '{"fingerprint": 3, "sources": {}}', "7"])
def test_a_finish_of_another_shape_is_damaged(run: RunDir, text: str) -> None:
    run.stage("report").mkdir()
    run.done("report").write_text(text)
    with pytest.raises(DamagedResultError, match=r"report/done\.json"):
        common.load(run, "report", read)


def test_a_table_without_a_column_or_of_another_type_is_damaged(run: RunDir) -> None:
    path = run.stage("report") / "table.parquet"
    common.write_table(path, pa.table({"id": ["a"], "score": pa.array([1.0], pa.float32())}))
    assert common.read_table(run, "report", path, SCHEMA).num_rows == 1
    common.write_table(path, pa.table({"id": ["a"]}))
    with pytest.raises(DamagedResultError, match="there is no column score"):
        common.read_table(run, "report", path, SCHEMA)
    common.write_table(path, pa.table({"id": ["a"], "score": ["high"]}))
    with pytest.raises(DamagedResultError, match="column score is string, not float"):
        common.read_table(run, "report", path, SCHEMA)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedResultError, match=r"report/table\.parquet is damaged"):
        common.read_table(run, "report", path, SCHEMA)
    path.unlink()
    with pytest.raises(MissingResultError, match=r"report/table\.parquet is gone"):
        common.read_table(run, "report", path, SCHEMA)


def test_an_error_in_the_code_that_reads_keeps_its_traceback(run: RunDir) -> None:
    nothing: dict[str, str] = {}
    finish(run, "report")
    with pytest.raises(KeyError):
        common.load(run, "report", lambda _: nothing["slip"])


@given(cut=st.integers(0, 400), flip=st.integers(0, 8 * 60 - 1))
def test_a_tensor_file_cut_or_flipped_in_its_header_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    run = RunDir(tmp_path_factory.mktemp("tensors"))
    path = run.root / "some.safetensors"
    save_file({"a": np.ones((3, 4), np.float32), "b": np.arange(5)}, path)
    content = bytearray(path.read_bytes())
    content[flip // 8] ^= 1 << flip % 8
    path.write_bytes(bytes(content[: len(content) - cut]))
    try:
        file: TensorFile = open_tensors(run, "scores", path, ["a"])
    except DamagedResultError:
        return
    assert file.array("a").nbytes >= 0
