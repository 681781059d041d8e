"""One step on one example: does it raise the completion's probability?

For models too large to train again. The step's length is a fixed share of the weights' own, so
that what is compared is where examples point, not how large their gradients are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.validation import RANDOM, TailPatch, TailPatchEffect
from pipeline.corpus.examples import TokenRow, pad_batch
from pipeline.model import load_traced
from pipeline.validation.context import ValidationContext
from pipeline.validation.random_baseline import compare_with_random

TAIL_PATCH = "tail patch"
"""Its name in progress events, as the others' beside their parts."""
STEP = 1e-3
"""Length of the step ÷ length of all weights as one vector."""


def tail_patch(context: ValidationContext) -> TailPatch | None:
    """Mean gain of ln p of a prompt's completion over its first examples; None if not asked for."""
    count = context.wanted.tail_patch
    if not count:
        return None
    tops = {
        name: [highest_first(row, count).tolist() for row in scores]
        for name, scores in context.compared.items()
    }
    tops[RANDOM] = _random_tops(context, count)
    pairs = sorted({(e, q) for rows in tops.values() for q, row in enumerate(rows) for e in row})
    gains = dict(zip(pairs, _gains(context, pairs), strict=True))
    means = {
        name: np.array(
            [np.mean([gains[e, q] for e in row]) if row else np.nan for q, row in enumerate(rows)]
        )
        for name, rows in tops.items()
    }
    return TailPatch(count, STEP, compare_with_random(means, TailPatchEffect, context))


def _random_tops(context: ValidationContext, count: int) -> list[list[int]]:
    # a stream of its own: what is random here does not depend on which other parts were asked for
    rng = np.random.default_rng([context.seed, 3])
    examples = len(context.examples)
    return [rng.permutation(examples)[:count].tolist() for _ in context.prompts]


def _gains(context: ValidationContext, pairs: Sequence[tuple[int, int]]) -> Iterator[float]:
    """Of each (example, prompt); `pairs` are sorted, so that each example is stepped on once."""
    model = load_traced(context.settings, context.run.model)
    before = context.completions.log_likelihoods(model)
    done = 0
    for example, of_example in groupby(pairs, key=itemgetter(0)):
        prompts = [prompt for _, prompt in of_example]
        with stepped(model, context.examples[example]):
            after = context.completions.log_likelihoods(model, prompts)
        yield from (after - before[prompts]).tolist()
        done += len(prompts)
        context.events.progress(done, len(pairs), "steps", TAIL_PATCH)


@contextmanager
def stepped(model: PreTrainedModel, example: TokenRow) -> Iterator[None]:
    """While entered, the weights are one step of gradient descent on the example's loss away.

    Source: the tail patch of Chang et al. 2024 (TrackStar), section 5, with a step of fixed
    length in place of the training's own optimiser, whose state need not be there.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    batch = pad_batch([example])
    loss = model(
        input_ids=batch["input_ids"].to(model.device), labels=batch["labels"].to(model.device)
    ).loss
    gradients = torch.autograd.grad(loss, weights)
    length, steepness = (torch.nn.utils.get_total_norm(each) for each in (weights, gradients))
    saved = [weight.detach().clone() for weight in weights]
    try:
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.sub_(gradient, alpha=float(STEP * length / steepness))
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(weights, saved, strict=True):
                weight.copy_(old)
