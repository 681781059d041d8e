"""A baseline without gradients: cosine similarity of hidden states.

Shape legend: Q prompts, N training examples, B sequences of a batch, T tokens of the longest of
them, H hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pipeline.batches import token_budget_batches
from pipeline.contract.results.ranks import Scores
from pipeline.corpus.examples import IGNORED, TokenBatch, TokenDataset, pad_batch
from pipeline.influence.queries import differences


def hidden_cosine(
    model: PreTrainedModel, prompts: TokenDataset, examples: TokenDataset, budget: int
) -> Scores:
    """Cosine similarity [Q, N], float32, of the last layer's mean hidden states.

    The mean is over labelled tokens: an example's text, a prompt's completion. A prompt with
    another completion has the difference of the two cosines. `budget`: most tokens of a batch.

    Source: RepSim, compared with influence functions by Li et al. 2024 (arXiv 2409.19998), who
    take the state of the last token only.
    """
    sides = (_mean_states(model, dataset, budget) for dataset in (prompts, examples))
    of_prompts, of_examples = (torch.nn.functional.normalize(side, dim=1) for side in sides)
    scores: Scores = differences(prompts, of_prompts @ of_examples.T).cpu().numpy()
    return scores


@torch.inference_mode()
def _mean_states(model: PreTrainedModel, dataset: TokenDataset, budget: int) -> Tensor:
    """Mean hidden state of each row's labelled tokens; float32 [rows, H]."""
    width = model.config.get_text_config().hidden_size
    means = torch.empty(len(dataset), width, device=model.device)
    for indices in token_budget_batches(dataset.lengths, budget):
        batch = pad_batch([dataset[index] for index in indices])
        labelled = (batch["labels"] != IGNORED).to(model.device, torch.float32)  # [B, T]
        states = _last_states(model, batch).float()  # [B, T, H]; float32 for the sum over tokens
        sums = torch.einsum("bth,bt->bh", states, labelled)
        # clamped: without a labelled token the mean is 0, not NaN
        means[indices] = sums / labelled.sum(dim=1, keepdim=True).clamp_min(1)
    return means


def _last_states(model: PreTrainedModel, batch: TokenBatch) -> Tensor:
    """What the vocabulary projection reads [B, T, H]."""
    whole = model.base_model is model  # as Llama 4's: its layers have no name of their own
    output = model.base_model(
        input_ids=batch["input_ids"].to(model.device),
        attention_mask=batch["attention_mask"].to(model.device),
        use_cache=False,
        output_hidden_states=whole,
    )
    states: Tensor = output.hidden_states[-1] if whole else output.last_hidden_state
    return states
