"""A walk: an adapter that another trainer made, through every stage of a run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel

from pipeline.contract.errors import ModelError
from pipeline.contract.results.answers import read_answers
from pipeline.contract.results.factors import read_factors_summary
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.training import read_training
from pipeline.contract.results.validation import read_validation
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import PROFILES, render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts
from pipeline.contract.settings.schema import Settings
from tests.small_models import save_folder, small_llama, small_qwen3, small_tokenizer
from tests.small_runs import run_here, sentences

SCORED = ("prepare", "train", "factors", "scores")


def train_elsewhere(base: PreTrainedModel, folder: Path) -> None:
    """peft's own training loop, as its documentation shows it: thirty steps of AdamW."""
    tokenizer = small_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear")
    model = get_peft_model(base, config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    texts = sentences(32)
    for step in range(30):
        batch = tokenizer(texts[step % 4 :: 4], return_tensors="pt", padding=True)
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        ids, mask = batch["input_ids"], batch["attention_mask"]
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(str(folder))


def folders(root: Path, make: Callable[[], PreTrainedModel]) -> None:
    """base/, adapter/, data/ and prompts/ beside the settings, as a person has them."""
    save_folder(make(), root / "base")
    train_elsewhere(make(), root / "adapter")
    (root / "data").mkdir()
    for number, text in enumerate(sentences(32)):
        (root / f"data/{number:02}.txt").write_text(text)
    save_prompts(
        root / "prompts/p.jsonl",
        [Prompt(id="river", prompt="The river runs", completion=" past the mill")],
    )


def settings(**sections: dict[str, Any]) -> str:
    """The profile, with the names as they lie beside the settings file."""
    values: dict[str, Any] = {
        **PROFILES["trained-elsewhere"],
        "run": {"device": "cpu", "threads": 1},
        "model": {"name": "base", "trained": "adapter"},
        "train": {"batch_tokens": 256},
        "prompts": {"max_new_tokens": 8},
        "generate": {"max_new_tokens": 8},
        "index": {"features": 64},
        "validation": {
            "seeds": 1,
            "removed": 2,
            "subsets": 0,
            "tail_patch": 1,
            "dampings": [1e-4],
            "fisher_seeds": 0,
        },
        **sections,
    }
    values["data"] = {**values["data"], "max_tokens": 64}
    return render_settings(Settings.model_validate(values))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run on a Qwen3-like model through every stage; to be read only."""
    root = tmp_path_factory.mktemp("walked")
    folders(root, small_qwen3)
    return walk(root, settings(), *SCORED, "index", "generate", "evaluate", "validate", "report")


def walk(root: Path, text: str, *stages: str) -> RunDir:
    run = RunDir(root / "runs/one")
    write_run(run, text, origin=root / "settings.toml")
    run_here(run, *(importlib.import_module(f"pipeline.stages.{name}") for name in stages))
    return run


def test_an_adapters_matrices_are_ranked_through_every_stage(walked: RunDir) -> None:
    training = read_training(walked)
    assert training.adapter is not None
    assert training.train_loss is not None
    assert training.trained_elsewhere is not None
    modules = read_factors_summary(walked).modules
    assert len(modules) == 2 * 7 * 2
    assert all(".lora_A." in name or ".lora_B." in name for name in modules)
    scores = ScoreFile(walked).scores(0, "ekfac")
    assert np.isfinite(scores).all()
    assert np.unique(scores).size > 20
    own = ScoreFile(walked).self_influence("ekfac")
    assert (own > 0).all()
    assert "LoRA" in walked.report_markdown.read_text()


def test_without_the_recipe_nothing_is_trained_again(walked: RunDir) -> None:
    found = read_validation(walked)
    assert found.removal is None
    assert found.tail_patch is not None
    assert found.dampings
    assert any("model.recipe_known = true" in message for message in found.warnings)


def test_the_models_own_answer_is_kept_by_its_tokens(walked: RunDir) -> None:
    answer = read_answers(walked)["river"]
    assert answer.tokens is not None
    assert small_tokenizer().decode(list(answer.tokens)) == answer.generated


def test_with_the_recipe_the_adapter_alone_is_trained_again(tmp_path: Path) -> None:
    folders(tmp_path, small_llama)
    recipe = {"max_steps": 2, "learning_rate": 1e-2, "batch_tokens": 256}
    model = {"name": "base", "trained": "adapter", "recipe_known": True}
    run = walk(tmp_path, settings(train=recipe, model=model), *SCORED, "validate")
    removal = read_validation(run).removal
    assert removal is not None
    assert np.isfinite(removal.seed_noise or 0.0)
    assert "ekfac_normalized" in removal.methods


def test_an_adapter_merged_into_the_weights_is_ranked_by_these(tmp_path: Path) -> None:
    folders(tmp_path, small_llama)
    run = walk(tmp_path, settings(modules={"group": "mlp", "adapter": "merged"}), *SCORED[:3])
    assert read_factors_summary(run).modules == tuple(
        f"model.layers.{layer}.mlp.{name}_proj"
        for layer in range(2)
        for name in ("gate", "up", "down")
    )


def test_an_incomplete_adapter_is_refused_by_prepare(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folders(tmp_path, small_llama)
    file = tmp_path / "adapter/adapter_model.safetensors"
    weights = load_file(file)
    weights.popitem()
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks the weights of 1 tensor"):
        walk(tmp_path, settings(), "prepare")
    assert not (tmp_path / "runs/one/prepare/examples.parquet").exists()
