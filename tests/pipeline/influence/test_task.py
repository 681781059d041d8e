"""What is differentiated: the loss, its labels, and what padding contributes (nothing)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.corpus.examples import IGNORED, TokenDataset, pad_batch
from pipeline.influence.task import LanguageModelingTask

from .conftest import VOCABULARY, new_model, random_tokens

MODULES = [name for name, m in new_model().named_modules() if isinstance(m, torch.nn.Linear)][:-1]


def test_the_loss_is_the_sum_over_labelled_tokens(prompts: TokenDataset) -> None:
    model = new_model()
    batch = pad_batch([prompts[i] for i in range(len(prompts))])
    expected = 0.0
    for i in range(len(prompts)):
        ids = prompts[i]["input_ids"]
        predictions = torch.log_softmax(model(ids[None]).logits[0].detach(), dim=-1)
        expected -= sum(float(predictions[t - 1, ids[t]]) for t in (len(ids) - 2, len(ids) - 1))
    loss = LanguageModelingTask([], seed=0).compute_measurement(batch, model)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_padding_has_no_gradient_at_any_module(examples: TokenDataset) -> None:
    model = new_model()
    gradients: dict[str, Tensor] = {}
    for name in MODULES:
        hook = gradient_keeper(gradients, name)
        model.get_submodule(name).register_forward_hook(hook)
    batch = pad_batch([examples[i] for i in range(len(examples))])
    for sample in (False, True):
        LanguageModelingTask(MODULES, seed=0).compute_train_loss(batch, model, sample).backward()
        padding = batch["attention_mask"] == 0
        assert padding.any()
        for name in MODULES:
            assert gradients[name][padding].abs().max() == 0, name
            assert gradients[name][~padding].abs().max() > 0, name


def gradient_keeper(kept: dict[str, Tensor], name: str) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.register_hook(lambda gradient: kept.__setitem__(name, gradient))

    return keep


def sampled_labels(rows: TokenDataset, members: list[int], seed: int) -> list[list[int]]:
    """The labels that the task draws for each member when these share a batch."""
    batch = pad_batch([rows[i] for i in members])
    model = new_model()
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    drawn = LanguageModelingTask([], seed)._sampled(logits.detach(), batch)
    return [drawn[n, : rows.lengths[i] - 1].tolist() for n, i in enumerate(members)]


def test_sampled_labels_depend_on_the_seed_and_the_example_alone(examples: TokenDataset) -> None:
    together = sampled_labels(examples, list(range(len(examples))), seed=3)
    alone = [sampled_labels(examples, [i], seed=3)[0] for i in range(len(examples))]
    assert together == alone
    assert together != sampled_labels(examples, list(range(len(examples))), seed=4)


def test_sampled_labels_follow_the_models_probabilities() -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    rows = TokenDataset([np.array([i, i + 1], dtype=np.int32) for i in range(4000)])
    batch = pad_batch([rows[i] for i in range(len(rows))])
    logits = probabilities.log().expand(4000, 1, 5)
    drawn = LanguageModelingTask([], seed=0)._sampled(logits, batch)
    shares = torch.bincount(drawn.flatten(), minlength=5) / 4000
    assert torch.allclose(shares, probabilities, atol=0.03)
    assert shares[4] == 0


def test_every_label_can_be_drawn_even_from_a_large_vocabulary() -> None:
    rows = TokenDataset(random_tokens(3, seed=0))
    batch = pad_batch([rows[i] for i in range(3)])
    logits = torch.zeros(3, batch["input_ids"].shape[1] - 1, 50_000)
    drawn = LanguageModelingTask([], seed=0)._sampled(logits, batch)
    assert drawn.min() >= 0
    assert drawn.max() < 50_000
    assert IGNORED not in drawn
    assert drawn.max() > VOCABULARY
