"""The Trainer's arguments by which processes share a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.training.arguments import training_arguments


@pytest.mark.parametrize("again", [False, True])
def test_a_model_is_shared_by_whole_layers_and_saved_whole(tmp_path: Path, again: bool) -> None:
    settings = Settings.model_validate(
        {
            "run": {"device": "cpu"},
            "data": {"source": "demo"},
            "train": {"processes": 2, "shard": True, "gradient_checkpointing": again},
        }
    )
    made = training_arguments(settings, RunDir(tmp_path), batches=2, validates=False)
    plugin = made.fsdp_plugin_args
    assert plugin["fsdp_version"] == 2
    assert plugin["auto_wrap_policy"] == "TRANSFORMER_BASED_WRAP"
    assert plugin["state_dict_type"] == "FULL_STATE_DICT"
    assert plugin["activation_checkpointing"] is again
    assert not made.activation_checkpointing, "FSDP's own takes its place"


def test_other_trainings_share_nothing(tmp_path: Path) -> None:
    settings = Settings.model_validate({"run": {"device": "cpu"}, "data": {"source": "demo"}})
    made = training_arguments(settings, RunDir(tmp_path), batches=2, validates=False)
    assert made.fsdp_plugin_args is None
