"""The inspect stage on real Kronfluence factors: tables that add up, pictures that show them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.image import imread
from safetensors.torch import load_file, save_file

from pipeline.contract.errors import MissingResultError, SettingsError
from pipeline.contract.files import read_json
from pipeline.contract.run.events import EventReader, EventWriter, Warned
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.stages import inspect

PICTURES = ("lambda_matrix.png", "eigenvalue_distribution.png", "cumulative_variance.png")


def settings(*strategies: str, **inspection: object) -> Settings:
    return Settings.model_validate(
        {
            "data": {"source": "demo"},
            "factors": {"strategies": list(strategies)},
            "inspect": inspection,
        }
    )


def inspected(root: Path, chosen: Settings) -> RunDir:
    run = RunDir(root)
    inspect.run(chosen, run, EventWriter(run.events, "inspect"))
    return run


@pytest.fixture
def root(factored_run: Path, tmp_path: Path) -> Path:
    (tmp_path / "influence").symlink_to(factored_run / "influence")
    return tmp_path


@pytest.fixture
def spoilt(factored_run: Path, tmp_path: Path) -> Path:
    """A diagonal Λ with one value that is not a number, and one of a module without a layer."""
    name = "lambda_matrix.safetensors"
    source = factored_run / "influence" / "factors_diagonal"
    target = tmp_path / "influence" / "factors_diagonal"
    target.mkdir(parents=True)
    lambdas = load_file(source / name)
    lambdas["lm_head"] = lambdas["model.layers.0.mlp.up_proj"].clone()
    lambdas["model.layers.0.mlp.up_proj"][0, 0] = float("nan")
    save_file(lambdas, target / name)
    counts = load_file(source / "num_lambda_processed.safetensors")
    counts["lm_head"] = counts["model.layers.0.mlp.up_proj"].clone()
    save_file(counts, target / "num_lambda_processed.safetensors")
    return tmp_path


def rows(run: RunDir) -> list[dict[str, str]]:
    with run.module_table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_strategy_module_and_kind_has_a_row_and_a_curve(root: Path) -> None:
    run = inspected(root, settings("ekfac", "kfac", "diagonal", "identity"))
    table = rows(run)
    assert len(table) == 6 * (3 + 3 + 1)
    curves = pq.read_table(run.eigenvalues).to_pylist()
    for row, curve in zip(table, curves, strict=True):
        assert [row[k] for k in ("strategy", "module", "kind")] == [
            curve[k] for k in ("strategy", "module", "kind")
        ]
        assert curve["layer"] == int(row["layer"])
        assert curve["values"][0] == float(row["largest"])
        assert curve["values"][-1] == float(row["smallest"])
        assert np.mean(curve["values"]) == pytest.approx(float(row["mean"]), rel=1e-5)
        assert curve["cumulative"][int(row["count_90"]) - 1] >= 0.9
        assert int(row["count_90"]) == 1 or curve["cumulative"][int(row["count_90"]) - 2] < 0.9


def test_every_layer_gets_its_pictures_and_its_table(root: Path) -> None:
    run = inspected(root, settings("ekfac"))
    for layer in (0, 1):
        for name in PICTURES:
            pixels = imread(run.layer(layer) / name)
            assert min(pixels.shape[:2]) > 300
            assert len(np.unique(pixels[..., :3].reshape(-1, 3), axis=0)) > 50
        text = (run.layer(layer) / "eigenvalue_analysis.txt").read_text()
        assert f"model.layers.{layer}.mlp.down_proj" in text
        assert f"model.layers.{1 - layer}" not in text
    assert read_json(run.summary("inspect"))["layers"] == [0, 1]


def test_every_lambda_has_a_map_small_enough_for_a_terminal(root: Path) -> None:
    run = inspected(root, settings("ekfac", "kfac", "diagonal"))
    maps = pq.read_table(run.lambda_maps).to_pylist()
    whole = {(r["strategy"], r["module"]): r for r in rows(run) if r["kind"] == "lambda"}
    assert [(m["strategy"], m["module"]) for m in maps] == list(whole)
    for found, row in zip(maps, whole.values(), strict=True):
        assert found["outputs"] * found["inputs"] == int(row["count"])
        heat = np.reshape(found["values"], (found["rows"], found["columns"]))
        assert max(heat.shape) <= 128
        if heat.size == int(row["count"]):
            assert heat.max() == pytest.approx(float(row["largest"]))
            assert heat.mean() == pytest.approx(float(row["mean"]), rel=1e-5)
        if found["strategy"] == "kfac":
            assert heat[0, 0] == heat.max()
            assert heat[-1, -1] == heat.min()


def test_the_colour_map_is_the_chosen_one(root: Path) -> None:
    run = inspected(root, settings("ekfac", colormap="gray"))
    pixels = imread(run.layer(0) / "lambda_matrix.png")
    column = pixels[150, 100:300, :3]  # inside of the first map
    assert np.allclose(column[:, 0], column[:, 1], atol=0.02)
    assert column.std() > 0.05


def test_an_unknown_colour_map_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"inspect\.colormap.*'viridos'.*viridis.*magma"):
        inspected(tmp_path, settings("ekfac", colormap="viridos"))
    assert not (tmp_path / "inspect").exists()


def test_identity_alone_has_no_spectra_and_says_so(tmp_path: Path) -> None:
    run = inspected(tmp_path, settings("identity"))
    assert rows(run) == []
    assert "identity fits no factors" in read_json(run.summary("inspect"))["warnings"][0]


def test_odd_values_and_modules_are_warned_of(spoilt: Path) -> None:
    run = inspected(spoilt, settings("diagonal"))
    warnings = [e.message for e in EventReader(run.events).read() if isinstance(e, Warned)]
    assert warnings == [
        "diagonal, model.layers.0.mlp.up_proj, lambda: 1 of 384 values are not finite; left out",
        "drawn in no picture, since they belong to no layer: lm_head",
    ]
    (head,) = (row for row in rows(run) if row["module"] == "lm_head")
    assert head["layer"] == ""


def test_missing_factors_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingResultError, match="factors_ekfac"):
        inspected(tmp_path, settings("ekfac"))
