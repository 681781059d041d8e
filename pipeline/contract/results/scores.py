"""Every example's influence on every prompt: names of the ways to score, layers, ranks."""

from __future__ import annotations


def layer_of(module: str) -> int | None:
    """The decoder layer that a module is or belongs to, 0-based: 3 for "layers.3.mlp.up_proj".

    None for a module outside of all layers, as "lm_head".
    """
    # The first number: an expert's comes after its layer's ("layers.3.mlp.experts.7.up_proj").
    return next((int(part) for part in module.split(".") if part.isdecimal()), None)
