"""Kronfluence's scores by module, in whichever order it took the examples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.results.module_scores import ModuleScoreFile, has_module_scores
from pipeline.contract.run.run_dir import RunDir
from tests.small_scores import finished_run

TRUE = np.array([[10.0, 20.0, 30.0], [1.0, 2.0, 3.0]], np.float32)


def computed_run(folder: Path, order: list[int] | None) -> RunDir:
    """A run as Kronfluence leaves it once it has scored the examples in this order."""
    run = finished_run(folder)
    path = run.module_scores("ekfac")
    path.parent.mkdir(parents=True)
    save_file({"layers.2.up": np.ascontiguousarray(TRUE[:, order or [0, 1, 2]])}, path)
    note_order(run, order)
    return run


def note_order(run: RunDir, order: object) -> None:
    run.module_scores_order("ekfac").write_text(json.dumps({"dataset_size": 3, "indices": order}))


@pytest.mark.parametrize("order", [None, [0, 1, 2], [2, 0, 1]])
def test_an_examples_score_is_found_in_any_order(tmp_path: Path, order: list[int] | None) -> None:
    file = ModuleScoreFile(computed_run(tmp_path, order), "ekfac", prompts=2, examples=3)
    assert "layers.2.up" in file
    assert "layers.5.up" not in file
    found = [[file.score("layers.2.up", q, n) for n in range(3)] for q in range(2)]
    assert found == TRUE.tolist()


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [0, 1, 3], [0, 1, -1], "", []])
def test_an_order_that_lacks_an_example_is_told(tmp_path: Path, order: object) -> None:
    run = computed_run(tmp_path, None)
    note_order(run, order)
    with pytest.raises(DamagedResultError, match=r"train_dataset_metadata\.json is damaged"):
        ModuleScoreFile(run, "ekfac", prompts=2, examples=3)


def test_scores_of_other_prompts_are_told(tmp_path: Path) -> None:
    file = ModuleScoreFile(computed_run(tmp_path, None), "ekfac", prompts=4, examples=3)
    with pytest.raises(DamagedResultError, match=r"layers.2.up is \[2, 3\], not \[4, 3\]"):
        file.score("layers.2.up", 0, 0)


def test_scores_whose_order_is_not_known_are_missing(tmp_path: Path) -> None:
    run = computed_run(tmp_path, None)
    run.module_scores_order("ekfac").unlink()
    assert has_module_scores(run, "ekfac")
    assert not has_module_scores(run, "kfac")
    with pytest.raises(MissingResultError, match=r"train_dataset_metadata\.json is gone"):
        ModuleScoreFile(run, "ekfac", prompts=2, examples=3)
