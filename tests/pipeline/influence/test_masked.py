"""Examples of which only some tokens carry loss: scores are autograd's of that loss alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.corpus.examples import IGNORED, TokenDataset
from pipeline.influence.fitting import fit
from pipeline.influence.scoring import pairwise_scores, sum_modules, token_scores
from tests.rounding import assert_parts_add_up, assert_same_in_float64

from .conftest import MakeAnalyzer, exact_loss, new_model, random_tokens


@pytest.fixture
def conversations() -> TokenDataset:
    """14 examples in which two turns carry loss and what is before, between and behind does not."""
    tokens = random_tokens(14, seed=5, longest=14)
    labels = [row.copy() for row in tokens]
    for number, row in enumerate(labels):
        row[[0, len(row) // 2]] = IGNORED
        if number % 2:
            row[-1] = IGNORED
    return TokenDataset(tokens, labels)


def gradient(modules: list[str], rows: TokenDataset) -> Tensor:
    """Of every row's loss, by autograd alone; float64 [rows, parameters]."""
    model = new_model().double()
    weights = [model.get_parameter(f"{name}.weight") for name in modules]
    return torch.stack(
        [
            torch.cat(
                [g.flatten() for g in torch.autograd.grad(exact_loss(model, rows[i]), weights)]
            )
            for i in range(len(rows))
        ]
    )


def test_identity_is_the_dot_product_of_the_labelled_losses_gradients(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, conversations: TokenDataset
) -> None:
    analyzer = make_exact_analyzer()
    fit(analyzer, "identity", conversations)
    scores = sum_modules(pairwise_scores(analyzer, "identity", prompts, conversations))
    expected = gradient(analyzer.modules, prompts) @ gradient(analyzer.modules, conversations).T
    assert_same_in_float64(scores, expected)
    whole = TokenDataset([conversations[i]["input_ids"].numpy() for i in range(14)])
    assert not torch.allclose(scores.double(), gradient(analyzer.modules, prompts)
                              @ gradient(analyzer.modules, whole).T)  # fmt: skip


def test_a_conversations_tokens_add_up_to_its_score(
    make_exact_analyzer: MakeAnalyzer, prompts: TokenDataset, conversations: TokenDataset
) -> None:
    analyzer = make_exact_analyzer(factors={"fisher": "empirical"})
    fit(analyzer, "ekfac", conversations)
    scores = sum_modules(pairwise_scores(analyzer, "ekfac", prompts, conversations))
    by_token = token_scores(analyzer, "ekfac", prompts, conversations, [0, 3, 13])
    assert_parts_add_up(by_token, scores[:, [0, 3, 13]])
