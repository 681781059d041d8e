"""The accelerated modules against Kronfluence's own, in float64: the same results, less work."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.module.linear import TrackedLinear
from kronfluence.module.tracked_module import TrackedModule
from kronfluence.utils.dataset import DataLoaderKwargs
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.contract.settings.schema import ModuleSettings
from pipeline.corpus.examples import TokenBatch, TokenDataset, TokenRow, pad_batch
from pipeline.influence.accelerated.linear import AcceleratedLinear
from pipeline.influence.modules import resolve_modules
from pipeline.influence.task import LanguageModelingTask

from .conftest import VOCABULARY, random_tokens

MODELS: dict[str, dict[str, object]] = {
    "no bias": {},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "grouped queries": {"num_key_value_heads": 1},
    "tied embeddings": {"tie_word_embeddings": True},
    "wider than the texts are long": {"hidden_size": 40, "intermediate_size": 56},
}
"""Widths are 8 and 12 otherwise, texts 3 to 24 tokens: every order of the sums occurs."""

F64 = torch.float64
FACTOR_DTYPES = {
    "activation_covariance_dtype": F64,
    "gradient_covariance_dtype": F64,
    "eigendecomposition_dtype": F64,
    "per_sample_gradient_dtype": F64,
    "lambda_dtype": F64,
}
SCORE_DTYPES = {
    "query_gradient_svd_dtype": F64,
    "per_sample_gradient_dtype": F64,
    "precondition_dtype": F64,
    "score_dtype": F64,
}


def new_model(**changes: object) -> LlamaForCausalLM:
    """2 layers in float64; biases too are random."""
    torch.manual_seed(0)
    config: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "initializer_range": 0.3,
    }
    model = LlamaForCausalLM(LlamaConfig(**config | changes)).double()
    model.train(False)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    return model


def factor_arguments(strategy: str, **args: Any) -> FactorArguments:
    return FactorArguments(strategy=strategy, use_empirical_fisher=True, **FACTOR_DTYPES | args)


class Pair:
    """Two analyzers of one model in one folder: Kronfluence's own modules, and ours."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, **changes: object) -> None:
        self.modules = resolve_modules(new_model(**changes), ModuleSettings(group="all"))
        patch.setitem(TrackedModule.SUPPORTED_MODULES, nn.Linear, TrackedLinear)
        self.plain = self._analyzer("plain", folder, changes)
        patch.setitem(TrackedModule.SUPPORTED_MODULES, nn.Linear, AcceleratedLinear)
        self.ours = self._analyzer("ours", folder, changes)

    def _analyzer(self, name: str, folder: Path, changes: dict[str, object]) -> Analyzer:
        task = LanguageModelingTask(self.modules, seed=0)
        model = prepare_model(new_model(**changes), task)
        analyzer = Analyzer(name, model, task, cpu=True, disable_tqdm=True, output_dir=str(folder))
        analyzer.set_dataloader_kwargs(DataLoaderKwargs(collate_fn=pad_batch))
        return analyzer

    def meet_in_eigenbasis(self, there: bool) -> None:
        """Where ours brings prompts and examples together; plain turns prompts back."""
        for module in self.ours.model.modules():
            if isinstance(module, AcceleratedLinear):
                module.scores_in_eigenbasis = there

    def fit(self, strategy: str, examples: TokenDataset, **args: Any) -> None:
        for analyzer in (self.plain, self.ours):
            analyzer.fit_all_factors(
                strategy,
                examples,
                per_device_batch_size=5,
                factor_args=factor_arguments(strategy, **args),
            )

    def scores(
        self, strategy: str, prompts: TokenDataset, examples: TokenDataset, **args: Any
    ) -> list[dict[str, Tensor]]:
        found, sizes = [], (args.pop("at_once", 3), args.pop("batch_size", 4))
        for analyzer in (self.plain, self.ours):
            analyzer.compute_pairwise_scores(
                "scores",
                strategy,
                prompts,
                examples,
                *sizes,
                score_args=ScoreArguments(**SCORE_DTYPES | args),
                overwrite_output_dir=True,
            )
            found.append(analyzer.load_pairwise_scores("scores"))
        return found

    def self_scores(
        self, strategy: str, examples: TokenDataset, **args: Any
    ) -> list[dict[str, Tensor]]:
        found = []
        for analyzer in (self.plain, self.ours):
            analyzer.compute_self_scores(
                "own",
                strategy,
                examples,
                per_device_train_batch_size=4,
                score_args=ScoreArguments(**SCORE_DTYPES | args),
                overwrite_output_dir=True,
            )
            found.append(analyzer.load_self_scores("own"))
        return found


def assert_same(pair: Sequence[dict[str, Tensor]]) -> None:
    plain, ours = pair
    assert set(plain) == set(ours)
    for name, expected in plain.items():
        assert ours[name].dtype == expected.dtype
        torch.testing.assert_close(ours[name], expected, rtol=1e-7, atol=1e-7)


@pytest.fixture(autouse=True)
def _quick_collections() -> Iterator[None]:
    """Kronfluence collects garbage all the time: without the libraries' objects that is quick."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def long_examples() -> TokenDataset:
    """17 examples of 3 to 24 tokens: enough of them that no covariance is singular."""
    return TokenDataset(random_tokens(17, seed=1, longest=24))


@pytest.mark.parametrize("strategy", ["identity", "diagonal", "kfac", "ekfac"])
@pytest.mark.parametrize("model", MODELS)
def test_every_strategy_scores_every_kind_of_module_alike(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    long_examples: TokenDataset,
    prompts: TokenDataset,
    model: str,
    strategy: str,
) -> None:
    pair = Pair(tmp_path, monkeypatch, **MODELS[model])
    pair.fit(strategy, long_examples)
    per_module = {"compute_per_module_scores": True, "damping_factor": None}
    for there in (False, True):
        pair.meet_in_eigenbasis(there)
        assert_same(pair.scores(strategy, prompts, long_examples, **per_module))
    assert_same(pair.self_scores(strategy, long_examples, **per_module))


@pytest.mark.parametrize("model", MODELS)
def test_factors_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_examples: TokenDataset, model: str
) -> None:
    """Λ in one and the same basis: an eigenvector's sign is free, so ours borrows plain's."""
    pair = Pair(tmp_path, monkeypatch, **MODELS[model])
    pair.fit("ekfac", long_examples)
    plain, ours = (a.load_covariance_matrices("ekfac") for a in (pair.plain, pair.ours))
    for name in plain:
        assert_same([plain[name], ours[name]])
    shutil.copytree(
        pair.plain.factors_output_dir("ekfac"), pair.ours.factors_output_dir("plain's basis")
    )
    pair.ours.fit_lambda_matrices(
        "lambda",
        long_examples,
        per_device_batch_size=5,
        factor_args=factor_arguments("ekfac"),
        load_from_factors_name="plain's basis",
    )
    plain = pair.plain.load_lambda_matrices("ekfac")
    for name, factors in pair.ours.load_lambda_matrices("lambda").items():
        assert_same([plain[name], factors])


def padded(rows: Sequence[TokenRow], pattern: str) -> TokenBatch:
    """A batch whose padding lies on the left, in the middle, or on the right and beyond."""
    batch = pad_batch(rows)
    longest = batch["input_ids"].shape[1]
    for row in range(len(rows)):
        more = longest - int(batch["attention_mask"][row].sum())
        order = {
            "left": torch.arange(longest).roll(more),
            "middle": torch.cat(
                [torch.arange(2), torch.arange(longest - more, longest), torch.arange(2, 99)]
            )[:longest],
            "right": torch.arange(longest),
        }[pattern]
        for tensor in batch.values():
            assert isinstance(tensor, Tensor)
            tensor[row] = tensor[row, order]
    return batch


@pytest.mark.parametrize("pattern", ["left", "middle", "right"])
def test_padding_anywhere_is_treated_alike(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    long_examples: TokenDataset,
    prompts: TokenDataset,
    pattern: str,
) -> None:
    pair = Pair(tmp_path, monkeypatch)
    for analyzer in (pair.plain, pair.ours):
        analyzer.set_dataloader_kwargs(
            DataLoaderKwargs(collate_fn=lambda rows: padded(rows, pattern))
        )
    pair.fit("ekfac", long_examples)
    for there in (False, True):
        pair.meet_in_eigenbasis(there)
        assert_same(pair.scores("ekfac", prompts, long_examples))
    assert_same(pair.self_scores("ekfac", long_examples))


@pytest.mark.parametrize(
    "args",
    [
        {"at_once": 1},
        {"query_gradient_accumulation_steps": 2, "at_once": 1},
        {"query_gradient_low_rank": 2, "use_full_svd": True},
        {"query_gradient_low_rank": 7, "use_full_svd": True, "at_once": 5},
        {"compute_per_token_scores": True, "batch_size": 17},
        {"aggregate_query_gradients": True},
        {"aggregate_train_gradients": True},
        {"data_partitions": 3, "module_partitions": 4},
    ],
    ids=lambda args: "+".join(args),
)
def test_every_way_of_scoring_gives_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    long_examples: TokenDataset,
    prompts: TokenDataset,
    args: dict[str, Any],
) -> None:
    pair = Pair(tmp_path, monkeypatch, mlp_bias=True)
    pair.fit("ekfac", long_examples)
    for there in (False, True):
        pair.meet_in_eigenbasis(there)
        assert_same(pair.scores("ekfac", prompts, long_examples, **args))


@pytest.mark.parametrize(
    "args",
    [
        {"has_shared_parameters": True},
        {"offload_activations_to_cpu": True},
        {"use_iterative_lambda_aggregation": True},
        {"lambda_module_partitions": 3, "covariance_module_partitions": 2},
    ],
    ids=lambda args: "+".join(args),
)
def test_every_way_of_fitting_gives_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    long_examples: TokenDataset,
    prompts: TokenDataset,
    args: dict[str, Any],
) -> None:
    pair = Pair(tmp_path, monkeypatch)
    pair.fit("ekfac", long_examples, **args)
    for there in (False, True):
        pair.meet_in_eigenbasis(there)
        assert_same(pair.scores("ekfac", prompts, long_examples))
    assert_same(pair.self_scores("ekfac", long_examples, use_measurement_for_self_influence=True))
