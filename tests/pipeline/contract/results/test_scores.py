"""What holds of all scores: names, layers, ranks."""

from __future__ import annotations

import pytest

from pipeline.contract.results.scores import layer_of


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        ("model.layers.21.mlp.gate_proj", 21),
        ("transformer.h.3.mlp.c_fc", 3),
        ("model.layers.3.block_sparse_moe.experts.7.w1", 3),
        ("0.mlp", 0),
        ("h.0", 0),
        ("lm_head", None),
        ("mlp2.up", None),
        ("all_modules", None),
    ],
)
def test_a_modules_layer_is_the_first_number_between_dots(module: str, layer: int | None) -> None:
    assert layer_of(module) == layer
