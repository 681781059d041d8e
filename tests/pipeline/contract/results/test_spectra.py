"""Spectra and Λ maps come back as they were written; what is damaged is named."""

from __future__ import annotations

import subprocess
import sys
from array import array
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.files import write_json
from pipeline.contract.results.lambda_maps import LambdaMap, lambda_map_writer, read_lambda_map
from pipeline.contract.results.spectra import (
    Spectrum,
    SpectrumCurve,
    SpectrumStatistics,
    read_curve,
    read_spectra,
    write_spectra,
)
from pipeline.contract.run.freshness import Done, Fingerprint
from pipeline.contract.run.run_dir import RunDir

STATISTICS = SpectrumStatistics(
    count=3,
    non_finite=1,
    negative=0,
    largest=2.5,
    smallest=1e-30,
    mean=1 / 3,
    median=None,
    condition=None,
    rank=2,
    effective_rank=1.5,
    participation_ratio=None,
    count_90=1,
    count_95=2,
    count_99=None,
)
HEAD = Spectrum("ekfac", None, 'lm_head, "tied"\n', "gradient", STATISTICS, "eigenvalues")
LAMBDA = Spectrum("diagonal", 3, "layers.3.up", "lambda", STATISTICS, "second moments")
CURVE = SpectrumCurve(np.array([1, 2]), np.array([2.5, 1e-30]), np.array([0.9, 1.0]))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "demo")


def test_a_row_comes_back_as_it_was_written(run: RunDir) -> None:
    write_spectra(run, [(HEAD, CURVE), (LAMBDA, CURVE)])
    assert read_spectra(run) == (HEAD, LAMBDA)


def test_one_of_thousands_of_curves_is_read_from_its_row_group_alone(run: RunDir) -> None:
    modules = [f"layers.{n}.up" for n in range(1000)]
    write_spectra(
        run,
        (
            (replace(LAMBDA, module=name), replace(CURVE, values=np.array([n + 0.5, n])))
            for n, name in enumerate(modules)
        ),
    )
    for n in (0, 63, 64, 999):
        curve = read_curve(run, "diagonal", modules[n], "lambda")
        assert curve is not None
        assert curve.values.tolist() == [n + 0.5, n]
    assert pq.ParquetFile(run.eigenvalues).metadata.row_group(0).num_rows == 64
    assert read_curve(run, "ekfac", modules[0], "lambda") is None


def test_a_curve_of_nothing_has_no_shares(run: RunDir) -> None:
    nothing = np.array([])
    write_spectra(run, [(LAMBDA, SpectrumCurve(np.array([1]), np.array([0.0]), nothing))])
    curve = read_curve(run, "diagonal", "layers.3.up", "lambda")
    assert curve is not None
    assert (curve.ranks.tolist(), curve.cumulative.tolist()) == ([1], [])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("count,", "counts,", "there is no column count"),
        (",3,1,", ",many,1,", "0.statistics.count"),
        ("gradient", "loss", "0.kind"),
        ("ekfac,", ",", "0.strategy"),
    ],
)
def test_a_damaged_row_is_named(run: RunDir, old: str, new: str, told: str) -> None:
    write_spectra(run, [(HEAD, CURVE)])
    text = run.module_table.read_text()
    assert old in text
    run.module_table.write_text(text.replace(old, new, 1))
    with pytest.raises(DamagedResultError, match=r"inspect/modules\.csv") as caught:
        read_spectra(run)
    assert told in caught.value.message


def test_a_map_comes_back_as_it_was_written(run: RunDir) -> None:
    heat = LambdaMap(10, 20, 1, 3, array("f", [1.0, 2.0, float("inf")]))
    with lambda_map_writer(run) as write:
        write({("ekfac", "a"): heat})
        write({("ekfac", "b"): replace(heat, outputs=7)})
    assert read_lambda_map(run, "ekfac", "b") == replace(heat, outputs=7)
    assert read_lambda_map(run, "kfac", "b") is None


def test_a_map_that_does_not_fill_its_shape_is_damaged(run: RunDir) -> None:
    with lambda_map_writer(run) as write:
        write({("ekfac", "a"): LambdaMap(10, 20, 2, 3, array("f", [1.0]))})
    with pytest.raises(DamagedResultError, match=r"lambda_maps\.parquet is damaged: a: "):
        read_lambda_map(run, "ekfac", "a")


def test_no_maps_are_there_in_format_1_and_missing_since(run: RunDir) -> None:
    done = asdict(Done("inspect", "id", Fingerprint("", {}), 1.0, 0.0))
    write_json(run.done("inspect"), done)
    assert read_lambda_map(run, "ekfac", "a") is None
    write_json(run.done("inspect"), {**done, "format": 2})
    with pytest.raises(MissingResultError, match=r"lambda_maps\.parquet is gone"):
        read_lambda_map(run, "ekfac", "a")


def test_reading_a_curve_loads_no_pandas(run: RunDir) -> None:
    write_spectra(run, [(LAMBDA, CURVE)])
    code = (
        "import sys; from pathlib import Path\n"
        "from pipeline.contract.results.spectra import read_curve\n"
        "from pipeline.contract.run.run_dir import RunDir\n"
        f"assert read_curve(RunDir(Path({str(run.root)!r})), 'diagonal', 'layers.3.up', 'lambda')\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
