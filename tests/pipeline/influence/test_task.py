"""What is differentiated: the loss, its labels, and what padding contributes (nothing)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import Gemma2Config, Gemma2ForCausalLM

from pipeline.corpus.examples import IGNORED, TokenDataset, pad_batch
from pipeline.influence.loss import sample_labels, vocabulary_projection
from pipeline.influence.task import LanguageModelingTask
from tests.rounding import summation_tolerance

from .conftest import VOCABULARY, new_model, random_tokens

MODULES = [name for name, m in new_model().named_modules() if isinstance(m, torch.nn.Linear)][:-1]


def test_the_loss_is_the_sum_over_labelled_tokens(prompts: TokenDataset) -> None:
    model = new_model().double()
    batch = pad_batch([prompts[i] for i in range(len(prompts))])
    expected = 0.0
    for i in range(len(prompts)):
        ids = prompts[i]["input_ids"]
        predictions = torch.log_softmax(model(ids[None]).logits[0].detach(), dim=-1)
        expected -= sum(float(predictions[t - 1, ids[t]]) for t in (len(ids) - 2, len(ids) - 1))
    loss = LanguageModelingTask([], seed=0).compute_measurement(batch, model)
    # the loss of a token is a sum over the vocabulary; the losses have one sign
    tolerance = summation_tolerance(VOCABULARY + 2 * len(prompts), size=1)
    assert float(loss.detach()) == pytest.approx(expected, rel=tolerance)


def test_padding_has_no_gradient_at_any_module(examples: TokenDataset) -> None:
    model = new_model()
    gradients: dict[str, Tensor] = {}
    for name in MODULES:
        hook = gradient_keeper(gradients, name)
        model.get_submodule(name).register_forward_hook(hook)
    batch = pad_batch([examples[i] for i in range(len(examples))])
    for sample in (False, True):
        loss = LanguageModelingTask(MODULES, seed=0).compute_train_loss(batch, model, sample)
        torch.autograd.backward(loss)
        padding = batch["attention_mask"] == 0
        assert padding.any()
        for name in MODULES:
            assert gradients[name][padding].abs().max() == 0, name
            assert gradients[name][~padding].abs().max() > 0, name


def gradient_keeper(kept: dict[str, Tensor], name: str) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.register_hook(partial(kept.__setitem__, name))  # type: ignore[no-untyped-call]

    return keep


def sampled_labels(rows: TokenDataset, members: list[int], seed: int) -> list[list[int]]:
    """The labels that the task draws for each member when these share a batch."""
    batch = pad_batch([rows[i] for i in members])
    model = new_model()
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    uniforms = LanguageModelingTask([], seed)._uniforms(batch)
    drawn = sample_labels(logits.detach().softmax(dim=-1), uniforms)
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
    uniforms = LanguageModelingTask([], seed=0)._uniforms(batch)
    drawn = sample_labels(probabilities.expand(4000, 1, 5), uniforms)
    shares = torch.bincount(drawn.flatten(), minlength=5) / 4000
    assert torch.allclose(shares, probabilities, atol=0.03)
    assert shares[4] == 0


def test_every_label_can_be_drawn_even_from_a_large_vocabulary() -> None:
    rows = TokenDataset(random_tokens(3, seed=0))
    batch = pad_batch([rows[i] for i in range(3)])
    uniforms = LanguageModelingTask([], seed=0)._uniforms(batch)
    drawn = sample_labels(torch.full((*uniforms.shape, 50_000), 1 / 50_000), uniforms)
    assert drawn.min() >= 0
    assert drawn.max() < 50_000
    assert IGNORED not in drawn
    assert drawn.max() > VOCABULARY


@pytest.mark.parametrize("sample", [False, True])
def test_projecting_labelled_positions_alone_changes_neither_loss_nor_gradient(
    examples: TokenDataset, prompts: TokenDataset, sample: bool
) -> None:
    model = new_model()
    head = vocabulary_projection(model)
    assert head is not None
    weight = model.get_parameter("model.layers.0.mlp.down_proj.weight")
    for rows in (examples, prompts):
        batch = pad_batch([rows[i] for i in range(len(rows))])
        found = []
        for task in (LanguageModelingTask([], seed=1), LanguageModelingTask([], 1, head=head)):
            loss = task.compute_train_loss(batch, model, sample)
            found.append((loss, *torch.autograd.grad(loss * 3, weight)))
        torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


def test_a_model_that_caps_its_logits_is_projected_by_itself() -> None:
    config = Gemma2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=3.0,
        final_logit_softcapping=1.0,
    )
    assert vocabulary_projection(Gemma2ForCausalLM(config)) is None
