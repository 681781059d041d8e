"""Small real things to test on: factors of a tiny Llama, and a run whose corpus is prepared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments
from kronfluence.task import Task
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.contract.run.run_dir import RunDir
from tests.shared import built_once
from tests.small_runs import prepare_run

MODULES = [
    f"model.layers.{layer}.mlp.{name}_proj" for layer in range(2) for name in ("gate", "up", "down")
]


class NextToken(Task):  # type: ignore[misc]
    """Summed next-token loss with the data's own labels."""

    def get_influence_tracked_modules(self) -> list[str]:
        return MODULES

    def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
        assert not sample
        logits = model(input_ids=batch["input_ids"]).logits[:, :-1]
        return functional.cross_entropy(
            logits.flatten(0, 1), batch["input_ids"][:, 1:].flatten(), reduction="sum"
        )

    compute_measurement = compute_train_loss


@pytest.fixture(scope="session")
def make_tiny_llama() -> Callable[[], LlamaForCausalLM]:
    """Makes the same model every time: 2 layers, 16 wide, MLP 24, 40 pieces."""

    def make() -> LlamaForCausalLM:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=40,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
        model = LlamaForCausalLM(config)
        model.train(False)
        return model

    return make


@pytest.fixture(scope="session")
def tiny_tokens() -> Tensor:
    """12 examples of 9 tokens."""
    return torch.randint(40, (12, 9), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def factored_run(
    tmp_path_factory: pytest.TempPathFactory,
    make_tiny_llama: Callable[[], LlamaForCausalLM],
    tiny_tokens: Tensor,
) -> Path:
    """A run's folder with influence/factors_{ekfac,kfac,diagonal}; to be read only."""

    def build(root: Path) -> None:
        fit_factors(root, make_tiny_llama(), tiny_tokens)

    return built_once(tmp_path_factory, "factored", build)


def fit_factors(root: Path, model: LlamaForCausalLM, tokens: Tensor) -> None:
    """Kronfluence's own factors of a model, under every strategy that fits some."""
    task = NextToken()
    analyzer = Analyzer(
        "influence",
        prepare_model(model, task),
        task,
        cpu=True,
        output_dir=str(root),
        disable_tqdm=True,
    )
    for strategy in ("ekfac", "kfac", "diagonal"):
        analyzer.fit_all_factors(
            factors_name=strategy,
            dataset=[{"input_ids": row} for row in tokens],
            per_device_batch_size=4,
            factor_args=FactorArguments(strategy=strategy, use_empirical_fisher=True),
        )


class PrepareRun(Protocol):
    """Makes a run as the prepare stage leaves it; `sections` go on top of its settings."""

    def __call__(self, root: Path, **sections: dict[str, Any]) -> RunDir: ...


@pytest.fixture(scope="session")
def prepared_run() -> PrepareRun:
    """48 training and 8 validation sentences, one document of two chunks, two prompts."""
    return prepare_run
