"""Scores come back as they were written, and a file of another shape is told when it is opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.results.score_file import ScoreFile, load_scores
from pipeline.contract.run.run_dir import RunDir
from tests.small_scores import LAYERS, METADATA, METHODS, finished_run, save_score_file

Tensors = dict[str, Any]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = finished_run(tmp_path)
    save_score_file(run)
    return run


def rewrite(run: RunDir, change: Callable[[Tensors, dict[str, str]], None]) -> None:
    with safe_open(run.scores, "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    change(tensors, metadata)
    save_file(tensors, run.scores, metadata)


def test_scores_come_back_by_prompt_method_and_layer(run: RunDir) -> None:
    file = load_scores(run).value
    assert file.metadata == METADATA
    for name, values in METHODS.items():
        np.testing.assert_array_equal(file.method(name), values)
        np.testing.assert_array_equal(file.scores(1, name), values[1])
    np.testing.assert_array_equal(file.layer(0, 5), LAYERS[5][0])
    np.testing.assert_array_equal(file.layers(1), np.stack([LAYERS[2][1], LAYERS[5][1]]))
    assert file.self_influence("ekfac").tolist() == [0, 1, 2]


def test_whole_methods_lie_on_disk(run: RunDir) -> None:
    assert not ScoreFile(run).method("ekfac").flags.owndata


def without_method(tensors: Tensors, _: dict[str, str]) -> None:
    del tensors["bm25"]


def of_fewer_examples(tensors: Tensors, _: dict[str, str]) -> None:
    tensors["bm25"] = np.ascontiguousarray(tensors["bm25"][:, :2])


def of_one_layer(tensors: Tensors, _: dict[str, str]) -> None:
    tensors["layers"] = np.ascontiguousarray(tensors["layers"][:, :1])


def of_more_prompts(_: Tensors, metadata: dict[str, str]) -> None:
    metadata["prompts"] = '["sea", "mill", "river"]'


def without_strategy(_: Tensors, metadata: dict[str, str]) -> None:
    del metadata["strategy"]


def of_broken_json(_: Tensors, metadata: dict[str, str]) -> None:
    metadata["methods"] = '["ekfac"'


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_method, "there is no tensor bm25"),
        (of_fewer_examples, "tensor bm25 is [2, 2], not [2, 3]"),
        (of_one_layer, "tensor layers is [2, 1, 3], not [2, 2, 3]"),
        (of_more_prompts, "tensor ekfac is [2, 3], not [3, 3]"),
        (without_strategy, "strategy: Field required"),
        (of_broken_json, "methods: Expecting"),
    ],
)
def test_what_does_not_go_together_is_told_on_opening(
    run: RunDir, change: Callable[[Tensors, dict[str, str]], None], told: str
) -> None:
    rewrite(run, change)
    with pytest.raises(DamagedResultError, match=re.escape(told)) as error:
        ScoreFile(run)
    assert "scores/scores.safetensors is damaged" in error.value.message
    assert "headwater run scores --force --run demo" in error.value.hint


def test_self_influence_that_was_not_computed_is_told(run: RunDir) -> None:
    with pytest.raises(DamagedResultError, match="there is no tensor self_kfac"):
        ScoreFile(run).self_influence("kfac")


def test_a_file_that_is_gone_is_missing(run: RunDir) -> None:
    run.scores.unlink()
    with pytest.raises(MissingResultError, match=r"scores/scores\.safetensors is gone"):
        load_scores(run)
