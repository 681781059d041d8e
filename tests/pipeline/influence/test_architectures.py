"""Scores of many architectures against autograd, one example at a time, in float64."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from kronfluence.utils.dataset import DataLoaderKwargs
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pipeline.contract.errors import SettingsError
from pipeline.contract.settings.schema import ModuleSettings
from pipeline.corpus.examples import TokenBatch, TokenRow, pad_batch
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.experts import separate_experts
from pipeline.influence.fitting import fit
from pipeline.influence.modules import resolve_modules
from pipeline.influence.scoring import (
    ModuleScores,
    pairwise_scores,
    self_influence,
    sum_modules,
    token_scores,
)
from tests.rounding import FLOAT32, FLOAT64, assert_parts_add_up, assert_same_in_float64

from .architectures import (
    DENSE,
    EXPERTS,
    exact_analyzer,
    exact_loss,
    gradients,
    model_of,
    rows_of,
)
from .conftest import FLOAT64_FACTORS, FLOAT64_SCORES

COUNTED = ("gpt2", "gpt_neo")
"""Those whose positions are counted from the row's start, padding or not."""
ROUNDED = ("gemma2", "gemma2 sharply capped", "bloom", "mpt")
"""Those whose softmax is in float32, to which a mask of float64 is infinity everywhere."""
_EXPERT = re.compile(r"(.*\.experts)\.(\d+)\.(\w+)")


@cache
def true_gradients(name: str, kind: str) -> dict[str, Tensor]:
    """Each parameter's per-example gradients by its name, from an untouched model."""
    model, rows = model_of(name), rows_of(kind)
    names, weights = zip(*model.named_parameters(), strict=True)
    return dict(
        zip(names, gradients(model, weights, [rows[i] for i in range(len(rows))]), strict=True)
    )


def true_matrices(name: str, kind: str, module: str) -> Tensor:
    """Per-example gradients [examples, outputs, inputs] of a module; its bias is the last input."""
    found = true_gradients(name, kind)
    if expert := _EXPERT.fullmatch(module):
        fused, number, kept = f"{expert[1]}.{expert[3]}", int(expert[2]), name != "gpt_oss"
        weight = found[fused][:, number]
        bias = found[f"{fused}_bias"][:, number] if f"{fused}_bias" in found else None
    else:
        weight, bias = found[f"{module}.weight"], found.get(f"{module}.bias")
        kept = not isinstance(model_of(name).get_submodule(module), Conv1D)
    matrix = weight if kept else weight.transpose(1, 2)
    return matrix if bias is None else torch.cat([matrix, bias[:, :, None]], dim=2)


def assert_same(found: Tensor, expected: Tensor) -> None:
    """In float64, but for steps that some architectures take in float32 always: softmax, norms,
    routing. Their rounding grows through the layers some hundred times, to 1e-5 of the result."""
    growth = 100 * FLOAT32 / FLOAT64
    assert_same_in_float64(found, expected, growth)


def identity(analyzer: InfluenceAnalyzer) -> ModuleScores:
    prompts, examples = rows_of("prompts"), rows_of("examples")
    fit(analyzer, "identity", examples)
    return pairwise_scores(analyzer, "identity", prompts, examples)


@pytest.mark.parametrize("name", DENSE | EXPERTS)
def test_identity_scores_are_products_of_per_example_gradients(name: str, tmp_path: Path) -> None:
    """Of every module, in batches with padding; self-influence is the product with itself, and an
    example's tokens add up to its score. The loss is of the model's own logits, however its head
    scales or caps them."""
    analyzer = exact_analyzer(name, tmp_path)
    prompts, examples = rows_of("prompts"), rows_of("examples")
    rows, model = [examples[i] for i in range(len(examples))], analyzer.kronfluence.model
    with torch.no_grad():
        loss = analyzer.kronfluence.task.compute_train_loss(pad_batch(rows), model)
        assert_same(loss, torch.stack([exact_loss(model, row) for row in rows]).sum())
    scores = identity(analyzer)
    own = torch.zeros(len(examples), dtype=torch.float64)
    for module in analyzer.modules:
        asked, seen = (true_matrices(name, kind, module) for kind in ("prompts", "examples"))
        expected = torch.einsum("qoi,noi->qn", asked, seen)
        assert_same(scores[module], expected)
        own += seen.square().sum(dim=(1, 2))
    found = self_influence(analyzer, "identity", prompts, examples)
    assert_same(found, own)
    tokens = token_scores(analyzer, "identity", prompts, examples, range(len(examples)))
    assert_parts_add_up(tokens, sum_modules(scores))


def sides(name: str, module: str, kind: str) -> list[tuple[Tensor, Tensor]]:
    """Each row's inputs [T, I] of a module, with a 1 for its bias, and output gradients [T, O]."""
    model, rows = model_of(name), rows_of(kind)
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        tokens = inputs[0].detach().flatten(0, -2)
        if module.bias is not None:
            tokens = torch.cat([tokens, tokens.new_ones(len(tokens), 1)], dim=1)
        seen.append((tokens, output))

    separate_experts(model)
    model.get_submodule(module).register_forward_hook(keep)
    found = []
    for index in range(len(rows)):
        loss = exact_loss(model, rows[index])
        tokens, output = seen.pop()
        found.append((tokens, torch.autograd.grad(loss, [output])[0].flatten(0, -2)))
    return found


def ekfac(name: str, module: str, damping: float) -> Tensor:
    """Scores [Q, N] of one module by the definition (George et al. 2018), nothing padded:
    covariances are means over tokens, Λ is the mean over examples of squared rotated gradients."""
    asked, seen = (sides(name, module, kind) for kind in ("prompts", "examples"))
    tokens = sum(len(inputs) for inputs, _ in seen)
    bases = [
        torch.linalg.eigh(torch.stack([side.T @ side for side in both]).sum(0) / tokens)[1]
        for both in zip(*seen, strict=True)
    ]
    of_asked, of_seen = (
        torch.stack([bases[1].T @ (outer.T @ inputs) @ bases[0] for inputs, outer in rows])
        for rows in (asked, seen)
    )
    curvature = of_seen.square().mean(dim=0) + damping
    return torch.einsum("qoi,noi->qn", of_asked / curvature, of_seen)


CHOSEN = {
    "qwen3": ["model.layers.1.mlp.down_proj"],
    "llama with biases": ["model.layers.0.self_attn.v_proj"],
    "gpt2": ["transformer.h.0.mlp.c_fc", "transformer.h.1.attn.c_proj"],
    "gpt_neox": ["gpt_neox.layers.1.mlp.dense_h_to_4h"],
    "opt": ["model.decoder.layers.0.fc1"],
    "gemma2 sharply capped": ["model.layers.1.mlp.up_proj"],
    "bloom": ["transformer.h.1.self_attention.dense"],
    "deepseek_v2": ["model.layers.0.self_attn.kv_b_proj"],
    "mixtral": ["model.layers.0.mlp.experts.1.gate_up_proj"],
    "gpt_oss": ["model.layers.1.mlp.experts.2.down_proj"],
}
"""Modules whose EKFAC is compared; of the other architectures the last one."""


@pytest.mark.parametrize(
    ("name", "module"),
    [(name, module) for name in DENSE | EXPERTS for module in CHOSEN.get(name, ["the last"])],
)
def test_ekfac_is_what_dense_matrices_give(name: str, module: str, tmp_path: Path) -> None:
    if module == "the last":
        module = resolve_modules(model_of(name), ModuleSettings(group="all"))[-1]
    analyzer = exact_analyzer(name, tmp_path, modules={"names": [module]})
    prompts, examples = rows_of("prompts"), rows_of("examples")
    fit(analyzer, "ekfac", examples)
    scores = pairwise_scores(analyzer, "ekfac", prompts, examples)
    assert_same(sum_modules(scores), ekfac(name, module, damping=1e-3))


@pytest.mark.parametrize("name", [n for n in DENSE | EXPERTS if n not in COUNTED + ROUNDED])
def test_padding_on_the_left_changes_nothing(name: str, tmp_path: Path) -> None:
    """No pass puts it there. Where answers are written it is there, and the others are tried, too:
    by the rehearsal, in float32."""
    analyzer = exact_analyzer(name, tmp_path)
    analyzer.kronfluence.set_dataloader_kwargs(DataLoaderKwargs(collate_fn=padded_left))
    for module, scores in identity(analyzer).items():
        asked, seen = (true_matrices(name, kind, module) for kind in ("prompts", "examples"))
        assert_same(scores, torch.einsum("qoi,noi->qn", asked, seen))


def padded_left(rows: list[TokenRow]) -> TokenBatch:
    """The batch of `pad_batch` with every row's padding before its tokens."""
    batch = pad_batch(rows)
    longest = batch["input_ids"].shape[1]
    for row in range(len(rows)):
        more = longest - int(batch["attention_mask"][row].sum())
        for tensor in batch.values():
            assert isinstance(tensor, Tensor)
            tensor[row] = tensor[row].roll(more)
    return batch


@pytest.mark.parametrize("strategy", ["ekfac", "kfac", "diagonal"])
def test_experts_that_no_token_has_reached_add_nothing(strategy: str, tmp_path: Path) -> None:
    analyzer = exact_analyzer("mixtral of many experts", tmp_path)
    prompts, examples = rows_of("prompts"), rows_of("examples")
    scoring = analyzer.settings.scores.model_copy(update={"damping": "heuristic"})
    analyzer.settings = analyzer.settings.model_copy(update={"scores": scoring})
    fit(analyzer, strategy, examples)
    scores = pairwise_scores(analyzer, strategy, prompts, examples)
    unseen = [
        module
        for module in analyzer.modules
        if not true_matrices("mixtral of many experts", "examples", module).any()
    ]
    assert unseen
    assert all(not scores[module].any() for module in unseen)
    assert sum_modules(scores).isfinite().all()


@pytest.mark.parametrize("name", ["opt", "gpt2"])
def test_activations_that_are_kept_on_the_host_give_the_same(name: str, tmp_path: Path) -> None:
    """By Kronfluence's own trackers, which know no shapes but [B, T, d]."""
    offloaded: dict[str, object] = {"offload_activations_to_cpu": True, "batch_size": 2}
    analyzer = exact_analyzer(
        name, tmp_path, factors=FLOAT64_FACTORS | offloaded, scores=FLOAT64_SCORES | offloaded
    )
    for module, scores in identity(analyzer).items():
        asked, seen = (true_matrices(name, kind, module) for kind in ("prompts", "examples"))
        assert_same(scores, torch.einsum("qoi,noi->qn", asked, seen))


def test_experts_cannot_be_kept_on_the_host(tmp_path: Path) -> None:
    offloaded: dict[str, object] = {"offload_activations_to_cpu": True}
    with pytest.raises(SettingsError, match="mixture of experts"):
        identity(exact_analyzer("mixtral", tmp_path, scores=FLOAT64_SCORES | offloaded))
