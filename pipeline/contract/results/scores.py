"""Every example's influence on every prompt: names of the ways to score, layers, ranks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Retrieval:
    """How well a method finds the documents known to state the answers; means over prompts."""

    recall: float
    """Share of the relevant documents among the top k; at most k ÷ their number."""
    k: int
    mrr: float
    """Mean of 1 ÷ rank of the first relevant document; 0 where the ranking lacks them all."""
    top1: float
    """Share of prompts whose first document is relevant."""


def layer_of(module: str) -> int | None:
    """The decoder layer that a module is or belongs to, 0-based: 3 for "layers.3.mlp.up_proj".

    None for a module outside of all layers, as "lm_head".
    """
    # The first number: an expert's comes after its layer's ("layers.3.mlp.experts.7.up_proj").
    return next((int(part) for part in module.split(".") if part.isdecimal()), None)
