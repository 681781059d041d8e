"""A tiny trained Llama with a handful of documents and prompts, as tokens and as a run."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import IGNORED, TokenDataset, TokenRow
from pipeline.influence.analyzer import InfluenceAnalyzer

VOCABULARY = 23

FLOAT64_FACTORS: dict[str, object] = dict.fromkeys(
    (
        "activation_covariance_dtype",
        "gradient_covariance_dtype",
        "eigendecomposition_dtype",
        "per_sample_gradient_dtype",
        "lambda_dtype",
    ),
    "float64",
)
FLOAT64_SCORES: dict[str, object] = dict.fromkeys(
    ("query_gradient_svd_dtype", "per_sample_gradient_dtype", "precondition_dtype", "score_dtype"),
    "float64",
)

MakeAnalyzer = Callable[..., InfluenceAnalyzer]


def new_model() -> LlamaForCausalLM:
    """2 layers, 16 wide, sharp enough that its predictions are not uniform."""
    torch.manual_seed(0)
    config = LlamaConfig(  # type: ignore[call-arg]
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.3,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    model.train(False)
    return model


def exact_loss(model: nn.Module, row: TokenRow) -> Tensor:
    """Summed over the labelled tokens, by its definition, in the model's own dtype."""
    logits = model(input_ids=row["input_ids"][None]).logits[0, :-1]
    return nn.functional.cross_entropy(logits, row["labels"][1:], reduction="sum")


def random_tokens(count: int, seed: int, longest: int = 12) -> list[np.ndarray]:
    """Token sequences of 3 tokens or more."""
    rng = random.Random(seed)
    return [
        np.array(
            [rng.randrange(VOCABULARY) for _ in range(rng.randint(3, longest))], dtype=np.int32
        )
        for _ in range(count)
    ]


@pytest.fixture
def examples() -> TokenDataset:
    """14 training examples of unequal length."""
    return TokenDataset(random_tokens(14, seed=1))


@pytest.fixture
def prompts() -> TokenDataset:
    """5 prompts whose last two tokens are the completion."""
    tokens = random_tokens(5, seed=2)
    labels = [row.copy() for row in tokens]
    for row in labels:
        row[:-2] = IGNORED
    return TokenDataset(tokens, labels)


def analyzer_of(
    model: PreTrainedModel, folder: Path, sections: dict[str, dict[str, object]]
) -> InfluenceAnalyzer:
    """An analyzer whose run is in the folder; `sections` go on top of its settings."""
    run = RunDir(folder)
    values = {"data": {"source": "demo"}, "run": {"device": "cpu"}, **sections}
    settings = Settings.model_validate(values)
    return InfluenceAnalyzer(settings, run, EventWriter(run.events, "test"), model)


@pytest.fixture
def make_analyzer(tmp_path: Path) -> MakeAnalyzer:
    """An analyzer of the tiny model; sections of settings by keyword."""
    return lambda **sections: analyzer_of(new_model(), tmp_path, sections)


@pytest.fixture
def make_exact_analyzer(tmp_path: Path) -> MakeAnalyzer:
    """The same, computing in float64: the order in which a processor adds numbers up then shows
    far below what a mistake would change."""

    def make(**sections: dict[str, object]) -> InfluenceAnalyzer:
        exact = {
            name: values | sections.get(name, {})
            for name, values in (("factors", FLOAT64_FACTORS), ("scores", FLOAT64_SCORES))
        }
        return analyzer_of(new_model().double(), tmp_path, sections | exact)

    return make
