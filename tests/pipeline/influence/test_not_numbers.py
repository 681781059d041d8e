"""What is no number never becomes a factor or a score, and is said."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from kronfluence.analyzer import Analyzer

from pipeline.contract.errors import ModelError
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.fitting import fit
from pipeline.influence.results import finite_or_missing
from pipeline.influence.scoring import pairwise_scores, sum_modules

from .conftest import MakeAnalyzer, analyzer_of, new_model

SPOILT = {"NaN": math.nan, "infinite": math.inf}


@pytest.mark.parametrize("value", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("strategy", ["ekfac", "kfac", "diagonal"])
def test_a_model_that_is_spoilt_gives_no_factors(
    examples: TokenDataset, tmp_path: Path, strategy: str, value: float
) -> None:
    model = new_model()
    with torch.no_grad():
        model.get_parameter("model.layers.1.mlp.up_proj.weight")[3, 5] = value
    with pytest.raises(ModelError, match="diverged"):
        fit(analyzer_of(model, tmp_path, {}), strategy, examples)


def test_singular_covariances_give_scores_that_are_numbers(make_analyzer: MakeAnalyzer) -> None:
    """Of one document over and over: a rank of a few tokens at the most."""
    same = TokenDataset([row for _ in range(8) for row in [torch.arange(3, 7).numpy()]])
    analyzer = make_analyzer()
    fit(analyzer, "ekfac", same)
    values = Analyzer.load_file(
        analyzer.run.factors("ekfac") / "activation_eigenvalues.safetensors"
    )
    assert all(float(found.min()) < 1e-6 * float(found.max()) for found in values.values())
    scores = sum_modules(pairwise_scores(analyzer, "ekfac", same.subset([0]), same))
    assert scores.isfinite().all()
    assert torch.allclose(scores, scores[0, 0].expand_as(scores), rtol=1e-3)


def test_scores_that_are_no_numbers_are_missing_and_counted() -> None:
    told: list[str] = []
    found = finite_or_missing("ekfac", torch.tensor([[1.0, math.nan, -math.inf, 2.0]]), told.append)
    assert told == ["ekfac: 2 of 4 scores are not finite: left out"]
    assert found[0, [0, 3]].tolist() == [1.0, 2.0]
    assert bool(torch.from_numpy(found[0, 1:3]).isnan().all())
    with pytest.raises(ModelError, match="not one score is a finite number"):
        finite_or_missing("ekfac", torch.full((1, 3), math.nan), told.append)
