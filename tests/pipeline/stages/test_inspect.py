"""The inspect stage on real Kronfluence factors: tables that add up, pictures that show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from safetensors.torch import load_file, save_file

from pipeline.contract.errors import MissingResultError, SettingsError
from pipeline.contract.results.lambda_maps import read_lambda_map
from pipeline.contract.results.spectra import (
    LayerFiles,
    read_curve,
    read_spectra,
    read_summary,
)
from pipeline.contract.run.events import EventReader, EventWriter, Warned
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.stages import inspect


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


def test_every_strategy_module_and_kind_has_a_row_and_a_curve(root: Path) -> None:
    run = inspected(root, settings("ekfac", "kfac", "diagonal", "identity"))
    spectra = read_spectra(run)
    assert len(spectra) == 6 * (3 + 3 + 1)
    for one in spectra:
        assert one.module.startswith(f"model.layers.{one.layer}.")
        curve = read_curve(run, one.strategy, one.module, one.kind)
        assert curve is not None
        assert curve.values[0] == one.statistics.largest
        assert curve.values[-1] == one.statistics.smallest
        assert np.mean(curve.values) == pytest.approx(one.statistics.mean, rel=1e-5)
        count = one.statistics.count_90
        assert count is not None
        assert curve.cumulative[count - 1] >= 0.9
        assert count == 1 or curve.cumulative[count - 2] < 0.9


def test_every_layer_gets_its_pictures_and_its_table(root: Path) -> None:
    run = inspected(root, settings("ekfac"))
    for layer in (0, 1):
        files = LayerFiles.of(run, layer)
        for picture in files.pictures:
            pixels = imread(picture)
            assert min(pixels.shape[:2]) > 300
            assert len(np.unique(pixels[..., :3].reshape(-1, 3), axis=0)) > 50
        text = files.analysis.read_text()
        assert f"model.layers.{layer}.mlp.down_proj" in text
        assert f"model.layers.{1 - layer}" not in text
    assert read_summary(run).layers == (0, 1)


def test_every_lambda_has_a_map_small_enough_for_a_terminal(root: Path) -> None:
    run = inspected(root, settings("ekfac", "kfac", "diagonal"))
    for one in read_spectra(run):
        if one.kind != "lambda":
            continue
        found = read_lambda_map(run, one.strategy, one.module)
        assert found is not None
        assert found.outputs * found.inputs == one.statistics.count
        heat = np.reshape(found.values, (found.rows, found.columns))
        assert max(heat.shape) <= 128
        if heat.size == one.statistics.count:
            assert heat.max() == pytest.approx(one.statistics.largest)
            assert heat.mean() == pytest.approx(one.statistics.mean, rel=1e-5)
        if one.strategy == "kfac":
            assert heat[0, 0] == heat.max()
            assert heat[-1, -1] == heat.min()


def test_the_colour_map_is_the_chosen_one(root: Path) -> None:
    run = inspected(root, settings("ekfac", colormap="gray"))
    pixels = imread(LayerFiles.of(run, 0).lambda_matrix)
    column = pixels[150, 100:300, :3]  # inside of the first map
    assert np.allclose(column[:, 0], column[:, 1], atol=0.02)
    assert column.std() > 0.05


def test_an_unknown_colour_map_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"inspect\.colormap.*'viridos'.*viridis.*magma"):
        inspected(tmp_path, settings("ekfac", colormap="viridos"))
    assert not (tmp_path / "inspect").exists()


def test_identity_alone_has_no_spectra_and_says_so(tmp_path: Path) -> None:
    run = inspected(tmp_path, settings("identity"))
    assert read_spectra(run) == ()
    assert "identity fits no factors" in read_summary(run).warnings[0]


def test_odd_values_and_modules_are_warned_of(spoilt: Path) -> None:
    run = inspected(spoilt, settings("diagonal"))
    warnings = [e.message for e in EventReader(run.events).read() if isinstance(e, Warned)]
    assert warnings == [
        "diagonal, model.layers.0.mlp.up_proj, lambda: 1 of 384 values are not finite; left out",
        "drawn in no picture, since they belong to no layer: lm_head",
    ]
    (head,) = (one for one in read_spectra(run) if one.module == "lm_head")
    assert head.layer is None


def test_missing_factors_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingResultError, match="factors_ekfac"):
        inspected(tmp_path, settings("ekfac"))
