"""Spectra are those of matrices that the test computes itself, and their figures are right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM

from pipeline.contract.errors import MissingResultError
from pipeline.influence.spectra import (
    MeasuredSpectrum,
    block_means,
    measure,
    module_spectra,
    tracked_modules,
)
from tests.rounding import summation_tolerance

MODULE = "model.layers.1.mlp.down_proj"
Array = NDArray[np.float64]


def folder(root: Path, strategy: str) -> Path:
    return root / "influence" / f"factors_{strategy}"


def spectra_of(root: Path, strategy: str, module: str = MODULE) -> dict[str, MeasuredSpectrum]:
    return {s.kind: s for s in module_spectra(folder(root, strategy), strategy, module)}


@pytest.fixture(scope="module")
def gradients(
    make_tiny_llama: Callable[[], LlamaForCausalLM], tiny_tokens: Tensor
) -> tuple[Array, Array, Array]:
    """Of MODULE: inputs [N·T, I], output gradients [N·T, O], weight gradients [N, O, I]."""
    model = make_tiny_llama()
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    weights: list[Tensor] = []

    def keep(_module: nn.Module, _into: object, out: tuple[Tensor, ...] | Tensor) -> None:
        outputs.append(out[0][0])

    module = model.get_submodule(MODULE)
    module.register_forward_hook(lambda _m, given, _out: inputs.append(given[0][0].detach()))
    module.register_full_backward_hook(keep)
    for row in tiny_tokens:
        model.zero_grad()
        logits = model(input_ids=row[None]).logits[0, :-1]
        torch.autograd.backward(functional.cross_entropy(logits, row[1:], reduction="sum"))
        gradient = module.get_parameter("weight").grad
        assert gradient is not None
        weights.append(gradient.clone())
    return (
        torch.cat(inputs).double().numpy(),
        torch.cat(outputs).double().numpy(),
        torch.stack(weights).double().numpy(),
    )


@pytest.mark.parametrize("strategy", ["ekfac", "kfac"])
def test_covariance_spectra_are_those_of_the_means_over_tokens(
    factored_run: Path, gradients: tuple[Array, Array, Array], strategy: str
) -> None:
    spectra = spectra_of(factored_run, strategy)
    for kind, rows in zip(("activation", "gradient"), gradients[:2], strict=True):
        true = np.linalg.eigvalsh(rows.T @ rows / len(rows))[::-1]
        found = spectra[kind]
        rounded = summation_tolerance(len(rows), true[0])
        np.testing.assert_allclose(found.curve.values, true, rtol=1e-3, atol=rounded)
        shares = true / true.sum()
        assert found.statistics.effective_rank == pytest.approx(
            np.exp(-(shares * np.log(shares)).sum()), rel=1e-3
        )
        assert found.statistics.participation_ratio == pytest.approx(
            1 / (shares**2).sum(), rel=1e-3
        )
        assert found.statistics.condition == pytest.approx(true[0] / true[-1], rel=1e-2)
        assert found.statistics.count_95 == np.searchsorted(np.cumsum(shares), 0.95) + 1


def test_ekfac_lambda_holds_the_corrected_eigenvalues_themselves(
    factored_run: Path, gradients: tuple[Array, Array, Array]
) -> None:
    inputs, outputs = (
        load_file(folder(factored_run, "ekfac") / f"{kind}_eigenvectors.safetensors")[MODULE]
        .double()
        .numpy()
        for kind in ("activation", "gradient")
    )
    rotated = outputs.T @ gradients[2] @ inputs
    true = (rotated**2).mean(axis=0)
    found = spectra_of(factored_run, "ekfac")["lambda"]
    assert found.statistics.count == true.size
    np.testing.assert_allclose(found.curve.values, np.sort(true.ravel())[::-1], rtol=1e-3)
    assert found.heat is not None
    np.testing.assert_allclose(found.heat, true[::-1, ::-1], rtol=1e-3)


def test_diagonal_lambda_is_the_mean_squared_gradient_of_each_parameter(
    factored_run: Path, gradients: tuple[Array, Array, Array]
) -> None:
    spectra = spectra_of(factored_run, "diagonal")
    assert list(spectra) == ["lambda"]
    assert spectra["lambda"].heat is not None
    np.testing.assert_allclose(spectra["lambda"].heat, (gradients[2] ** 2).mean(axis=0), rtol=1e-3)
    assert "second moments" in spectra["lambda"].meaning


def test_kfac_has_the_outer_product_and_says_so(factored_run: Path) -> None:
    spectra = spectra_of(factored_run, "kfac")
    product = np.outer(spectra["gradient"].curve.values, spectra["activation"].curve.values)
    np.testing.assert_allclose(
        spectra["lambda"].curve.values, np.sort(product.ravel())[::-1], rtol=1e-6
    )
    assert spectra["lambda"].meaning == "outer product of the two spectra"


def test_a_rank_deficient_covariance_has_no_condition_number() -> None:
    noise = np.array([-3e-8, -1e-8, 0.0, 2e-8])  # as a processor leaves of zeros
    statistics, _ = measure(np.concatenate([noise, np.arange(1.0, 6.0)]), tolerance=1e-6)
    assert statistics.rank == 5
    assert statistics.condition is None
    assert statistics.negative == 2


def test_equal_eigenvalues_are_all_effective() -> None:
    statistics, curve = measure(np.full(10, 3.0), 0.0)
    assert statistics.effective_rank == pytest.approx(10)
    assert statistics.participation_ratio == pytest.approx(10)
    assert (statistics.count_90, statistics.condition) == (9, 1.0)
    assert curve.cumulative[-1] == 1.0


def test_values_that_are_not_finite_are_counted_and_left_out() -> None:
    statistics, curve = measure(np.array([1.0, np.nan, 3.0, np.inf]), 0.0)
    assert (statistics.count, statistics.non_finite) == (4, 2)
    assert (statistics.largest, statistics.mean) == (3.0, 2.0)
    assert curve.values.tolist() == [3.0, 1.0]


@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0]])
def test_nothing_to_measure_is_missing_not_made_up(values: list[float]) -> None:
    statistics, curve = measure(np.array(values), 0.0)
    assert statistics.effective_rank is statistics.condition is statistics.count_90 is None
    assert len(curve.cumulative) == 0


def test_a_long_spectrum_is_exact_at_the_ranks_it_keeps() -> None:
    values = np.random.default_rng(0).lognormal(size=20_000)
    statistics, curve = measure(values, 0.0)
    ordered = np.sort(values)[::-1]
    assert len(curve.ranks) <= 1024
    assert (curve.ranks[0], curve.ranks[-1]) == (1, 20_000)
    assert np.array_equal(curve.values, ordered[curve.ranks - 1])
    assert statistics.median == pytest.approx(np.median(values))


def test_a_large_matrix_is_drawn_as_block_means() -> None:
    matrix = np.arange(24.0).reshape(4, 6)
    matrix[0, 0] = np.nan
    matrix[2:, 4:] = np.nan
    means = block_means(matrix, 3)
    assert means.shape == (3, 3)
    assert block_means(matrix[:, :2], 2)[0, 0] == pytest.approx(np.nanmean(matrix[:2, 0]))
    assert np.isnan(means[2, 2])


def test_modules_come_in_natural_order(factored_run: Path, tmp_path: Path) -> None:
    assert tracked_modules(folder(factored_run, "ekfac"), "ekfac")[-1] == (
        "model.layers.1.mlp.up_proj"
    )
    tensors: dict[str, Any] = {f"layers.{n}.up": torch.ones(1) for n in (10, 2)}
    save_file(tensors, tmp_path / "lambda_matrix.safetensors")
    assert tracked_modules(tmp_path, "diagonal") == ["layers.2.up", "layers.10.up"]


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "activation_eigenvalues.safetensors").write_bytes(b"torn")
    with pytest.raises(MissingResultError, match=r"activation_eigenvalues\.safetensors"):
        tracked_modules(tmp_path, "ekfac")
    with pytest.raises(MissingResultError, match=r"lambda_matrix\.safetensors"):
        tracked_modules(tmp_path, "diagonal")
