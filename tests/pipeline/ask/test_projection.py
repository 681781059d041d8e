"""Features: their products are the influence that Kronfluence computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from pipeline.ask.indexing import run_projection
from pipeline.ask.projection import Projection
from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.arguments import score_arguments
from pipeline.influence.fitting import fit
from pipeline.influence.greedy_answers import token_dataset, traced_prompts
from pipeline.influence.scoring import self_influence
from pipeline.model import load_model, load_tokenizer
from tests.pipeline.influence.architectures import exact_analyzer, rows_of


def with_features(run: RunDir, features: int, **factors: Any) -> Settings:
    settings = load_settings(run.settings)
    return settings.model_copy(
        update={
            "index": settings.index.model_copy(update={"features": features}),
            "factors": settings.factors.model_copy(update=factors),
        }
    )


def both_features(run: RunDir, features: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the prompts [Q, F] and of the examples [N, F]."""
    model = load_model(run.model, torch.device("cpu"))
    projection = run_projection(with_features(run, features), run, model)
    prompts = token_dataset(traced_prompts(run, False, load_tokenizer(run.tokenizer)))
    examples = TokenDataset.of_examples(run)
    of_prompts, of_examples = (
        projection.features(pad_batch([rows[index] for index in range(len(rows))]))[0]
        for rows in (prompts, examples)
    )
    return of_prompts, of_examples


def test_products_and_lengths_come_near_kronfluences_scores(scored_run: RunDir) -> None:
    prompts, examples = both_features(scored_run, 2**17)
    scores = load_file(scored_run.scores)
    found = (prompts @ examples.T).numpy()
    for mine, theirs in zip(found, scores["ekfac"], strict=True):
        assert np.corrcoef(mine, theirs)[0, 1] > 0.97
        assert np.polyfit(theirs, mine, 1)[0] == pytest.approx(1, abs=0.1)
    squares = examples.square().sum(dim=1).numpy()
    assert squares == pytest.approx(scores["self_ekfac"], rel=0.05)


def test_self_influence_is_kronfluences(indexed_run: RunDir) -> None:
    own = np.load(indexed_run.features / "self_00000.npy")
    assert own == pytest.approx(load_file(indexed_run.scores)["self_ekfac"], rel=1e-3)


def test_more_features_come_nearer(scored_run: RunDir) -> None:
    scores = load_file(scored_run.scores)["ekfac"]
    errors = [
        np.abs((prompts @ examples.T).numpy() - scores).mean()
        for prompts, examples in (both_features(scored_run, size) for size in (256, 16384))
    ]
    assert errors[1] < errors[0] / 4, "64 times as many should err an eighth as much"


def test_a_sequences_features_do_not_depend_on_its_batch_mates(scored_run: RunDir) -> None:
    model = load_model(scored_run.model, torch.device("cpu"))
    projection = run_projection(with_features(scored_run, 512), scored_run, model)
    examples = TokenDataset.of_examples(scored_run)
    alone = projection.features(pad_batch([examples[0]]))[0][0]
    together = projection.features(pad_batch([examples[index] for index in (3, 0, 5)]))[0][1]
    assert torch.allclose(alone, together, rtol=1e-4, atol=1e-4 * float(alone.abs().max()))


def test_a_strategy_without_eigenvectors_is_refused(scored_run: RunDir) -> None:
    settings = with_features(scored_run, 512, strategies=["diagonal"])
    with pytest.raises(HeadwaterError, match="begins with diagonal, which has no eigenvectors"):
        run_projection(settings, scored_run, load_model(scored_run.model, torch.device("cpu")))


@pytest.mark.parametrize("name", ["opt", "gpt2", "mixtral", "gpt_oss"])
def test_self_influence_is_ekfacs_whatever_shape_modules_see(name: str, tmp_path: Path) -> None:
    """Rows of a flat batch, transposed weights, and experts that see some of the tokens."""
    analyzer = exact_analyzer(name, tmp_path)
    examples = rows_of("examples")
    fit(analyzer, "ekfac", examples)
    expected = self_influence(analyzer, "ekfac", rows_of("prompts"), examples)
    projection = Projection.of_factors(
        analyzer.kronfluence.model,
        analyzer.run.factors("ekfac"),
        score_arguments(analyzer.settings.scores, per_module=False),
        analyzer.modules,
        "ekfac",
        size=64,
    )
    batch = pad_batch([examples[index] for index in range(len(examples))])
    _, squares = projection.features(batch)
    torch.testing.assert_close(squares, expected, rtol=1e-3, atol=1e-3)
