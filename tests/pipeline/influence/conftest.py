"""A tiny trained Llama with a handful of documents and prompts, as tokens and as a run."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import IGNORED, TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer

VOCABULARY = 23

MakeAnalyzer = Callable[..., InfluenceAnalyzer]


def new_model() -> LlamaForCausalLM:
    """2 layers, 16 wide, sharp enough that its predictions are not uniform."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.3,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config).eval()


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


@pytest.fixture
def make_analyzer(tmp_path: Path) -> MakeAnalyzer:
    """An analyzer of the tiny model; sections of settings by keyword."""

    def make(**sections: dict[str, object]) -> InfluenceAnalyzer:
        run = RunDir(tmp_path)
        values = {"data": {"source": "demo"}, "run": {"device": "cpu"}, **sections}
        settings = Settings.model_validate(values)
        return InfluenceAnalyzer(settings, run, EventWriter(run.events, "test"), new_model())

    return make
