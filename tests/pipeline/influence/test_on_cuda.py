"""What a GPU computes is what the CPU computes; `bench.gpu` runs these where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.corpus.examples import TokenDataset
from pipeline.influence.fitting import fit
from pipeline.influence.scoring import pairwise_scores, self_influence, sum_modules
from tests.rounding import assert_same_in_float64

from .conftest import FLOAT64_FACTORS, FLOAT64_SCORES, analyzer_of, new_model

DEVICE = "cuda"
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]


def scores_on(
    device: str, folder: Path, strategy: str, prompts: TokenDataset, examples: TokenDataset
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores [Q, N] and self-influence [N], computed in float64."""
    folder.mkdir()
    sections: dict[str, dict[str, object]] = {
        "run": {"device": device},
        "factors": FLOAT64_FACTORS | {"strategies": [strategy]},
        "scores": FLOAT64_SCORES | {"query_gradient_low_rank": 0},
    }
    model = new_model().double()
    model.to(device)  # type: ignore[arg-type]
    analyzer = analyzer_of(model, folder, sections)
    fit(analyzer, strategy, examples)
    pairwise = sum_modules(pairwise_scores(analyzer, strategy, prompts, examples))
    return pairwise.cpu(), self_influence(analyzer, strategy, prompts, examples).cpu()


@pytest.mark.parametrize("strategy", ["identity", "diagonal", "kfac", "ekfac"])
def test_scores_of_a_gpu_are_those_of_the_cpu(
    tmp_path: Path, prompts: TokenDataset, examples: TokenDataset, strategy: str
) -> None:
    there = scores_on(DEVICE, tmp_path / "there", strategy, prompts, examples)
    here = scores_on("cpu", tmp_path / "here", strategy, prompts, examples)
    for found, expected in zip(there, here, strict=True):
        assert_same_in_float64(found, expected)
