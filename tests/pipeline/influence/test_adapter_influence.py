"""Influence on an adapter's own matrices: what autograd gives on peft's own model, in float64."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from pipeline.corpus.examples import TokenDataset
from pipeline.influence.fitting import fit
from pipeline.influence.scoring import pairwise_scores, self_influence, sum_modules
from pipeline.pretrained.adapters import network_of
from tests.rounding import assert_same_in_float64

from .conftest import (
    FLOAT64_FACTORS,
    FLOAT64_SCORES,
    MakeAnalyzer,
    analyzer_of,
    exact_loss,
    new_model,
)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"use_rslora": True},
    {"lora_dropout": 0.4},  # left out in training alone
    {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"up_proj": 11}},
]


def adapted(**options: Any) -> PeftModel:
    """peft's model in float64 with an adapter on all linear layers, both matrices random."""
    config = LoraConfig(
        **{
            "task_type": "CAUSAL_LM",
            "r": 3,
            "lora_alpha": 7,
            "target_modules": "all-linear",
            **options,
        }
    )
    model = get_peft_model(new_model(), config).double().eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                drawn = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
                weight.copy_(drawn * 0.2)
    assert isinstance(model, PeftModel)
    return model


@pytest.fixture
def make(tmp_path: Path) -> MakeAnalyzer:
    def build(options: dict[str, Any], **sections: dict[str, object]) -> Any:
        exact: dict[str, dict[str, object]] = {
            "factors": {**FLOAT64_FACTORS, "fisher": "empirical"},
            "scores": {**FLOAT64_SCORES, "damping": 1e-3},
            "modules": {"group": "all"},
        }
        network: Any = network_of(adapted(**options))
        return analyzer_of(network, tmp_path, {**exact, **sections})

    return build


def gradients(modules: list[str], rows: TokenDataset, **options: Any) -> dict[str, Tensor]:
    """Per-example gradients [examples, out, in] of the matrices, by autograd alone."""
    model = adapted(**options)
    named = dict(model.named_parameters())
    weights = [named[f"base_model.model.{name}.weight"] for name in modules]
    found = [torch.autograd.grad(exact_loss(model, rows[i]), weights) for i in range(len(rows))]
    return {
        name: torch.stack(parts)
        for name, parts in zip(modules, zip(*found, strict=True), strict=True)
    }


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_identity_scores_are_products_of_the_matrices_gradients(
    make: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset, options: dict[str, Any]
) -> None:
    analyzer = make(options)
    assert len(analyzer.modules) == 2 * 7 * 2
    fit(analyzer, "identity", examples)
    scores = pairwise_scores(analyzer, "identity", prompts, examples)
    queries = gradients(analyzer.modules, prompts, **options)
    rows = gradients(analyzer.modules, examples, **options)
    for name in analyzer.modules:
        expected = torch.einsum("qio,nio->qn", queries[name], rows[name])
        assert float(expected.abs().max()) > 1e-3
        assert_same_in_float64(scores[name], expected)


def test_ekfac_on_an_adapter_is_what_its_definition_gives(
    make: MakeAnalyzer, prompts: TokenDataset, examples: TokenDataset
) -> None:
    """Source: George et al. 2018: the eigenvalues of both covariances' eigenbasis are corrected by
    the mean square of the gradients in it."""
    analyzer = make({})
    fit(analyzer, "ekfac", examples)
    scores = sum_modules(pairwise_scores(analyzer, "ekfac", prompts, examples))
    inputs, errors = _covariances(analyzer.modules, examples)
    queries, rows = gradients(analyzer.modules, prompts), gradients(analyzer.modules, examples)
    expected = torch.zeros(len(prompts), len(examples), dtype=torch.float64)
    for name in analyzer.modules:
        left, right = torch.linalg.eigh(errors[name])[1], torch.linalg.eigh(inputs[name])[1]
        turned = [left.T @ part[name] @ right for part in (queries, rows)]
        curvature = turned[1].square().mean(dim=0) + 1e-3
        expected += torch.einsum("qio,nio->qn", turned[0] / curvature, turned[1])
    assert_same_in_float64(scores, expected, growth=1e8)
    own = self_influence(analyzer, "ekfac", prompts, examples)
    assert bool((own > 0).all())


def _covariances(
    modules: list[str], rows: TokenDataset
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Uncentred covariances of every matrix's inputs and of the loss's gradients at its outputs."""
    model = adapted()
    inputs = {name: [] for name in modules}  # type: dict[str, list[Tensor]]
    outputs = {name: [] for name in modules}  # type: dict[str, list[Tensor]]
    for name in modules:
        module = model.get_submodule(f"base_model.model.{name}")

        def keep(_: Any, given: tuple[Tensor, ...], made: Tensor, name: str = name) -> None:
            inputs[name].append(given[0].detach()[0])
            made.retain_grad()
            outputs[name].append(made)

        module.register_forward_hook(keep)
    for index in range(len(rows)):
        exact_loss(model, rows[index]).backward()  # type: ignore[no-untyped-call]
    return (
        {name: _second_moment(parts) for name, parts in inputs.items()},
        {
            name: _second_moment([_gradient(made) for made in parts])
            for name, parts in outputs.items()
        },
    )


def _gradient(made: Tensor) -> Tensor:
    assert made.grad is not None
    return made.grad[0]


def _second_moment(parts: list[Tensor]) -> Tensor:
    whole = torch.cat(parts)
    return whole.T @ whole / len(whole)


def test_a_merged_adapters_scores_are_those_of_the_merged_weights(
    tmp_path: Path, prompts: TokenDataset, examples: TokenDataset
) -> None:
    merged: Any = adapted().merge_and_unload()
    exact = {"factors": FLOAT64_FACTORS, "scores": FLOAT64_SCORES}
    analyzer = analyzer_of(merged, tmp_path, exact)
    fit(analyzer, "identity", examples)
    scores = pairwise_scores(analyzer, "identity", prompts, examples)
    plain = new_model().double()
    source = adapted()
    for name in analyzer.modules:
        layer: Any = source.get_submodule(f"base_model.model.{name}")
        delta = layer.lora_B["default"].weight @ layer.lora_A["default"].weight * (7 / 3)
        with torch.no_grad():
            plain.get_parameter(f"{name}.weight").add_(delta)
    assert math.isclose(layer.scaling["default"], 7 / 3)
    weights = [plain.get_parameter(f"{name}.weight") for name in analyzer.modules]
    attention = [
        name
        for name in dict(plain.named_modules())
        if name.endswith(("q_proj", "k_proj", "v_proj", "o_proj"))
    ]
    for name in attention:
        layer = source.get_submodule(f"base_model.model.{name}")
        delta = layer.lora_B["default"].weight @ layer.lora_A["default"].weight * (7 / 3)
        with torch.no_grad():
            plain.get_parameter(f"{name}.weight").add_(delta)
    for place, name in enumerate(analyzer.modules):
        sides = [
            torch.stack(
                [
                    torch.autograd.grad(exact_loss(plain, side[i]), weights)[place]
                    for i in range(len(side))
                ]
            )
            for side in (prompts, examples)
        ]
        assert_same_in_float64(scores[name], torch.einsum("qio,nio->qn", *sides))
