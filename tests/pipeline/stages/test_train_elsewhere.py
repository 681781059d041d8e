"""Models that were trained elsewhere, and adapters: taken as they are, or trained here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from pipeline.contract.errors import ModelError
from pipeline.contract.results.training import read_training
from pipeline.contract.run.events import EventReader, EventWriter, Warned
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.corpus.examples import TokenDataset
from pipeline.model import load_model, save_model
from pipeline.stages import train
from pipeline.training.losses import mean_loss
from tests.small_models import save_folder, small_llama
from tests.small_runs import prepare_run, run_here

CPU = torch.device("cpu")
LORA = {"rank": 4, "alpha": 8, "dropout": 0.1}
SECTION = {
    "epochs": 3.0,
    "gradient_accumulation": 2,
    "checkpoint_every": 3,
    "keep_checkpoints": 9,
    "learning_rate": 1e-2,
}


def train_here(run: RunDir) -> RunDir:
    train.run(load_settings(run.settings), run, EventWriter(run.events, "train"))
    return run


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(small_llama(), tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapted(base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that trained an adapter without interruption; to be read only."""
    return train_here(lora_run(tmp_path_factory.mktemp("adapted"), base))


def lora_run(root: Path, base: Path, **lora: Any) -> RunDir:
    return prepare_run(
        root,
        model={"init": "pretrained", "name": str(base)},
        lora={**LORA, **lora},
        train=SECTION,
        modules={"group": "all"},
    )


def elsewhere(root: Path, trained: Path, **model: Any) -> RunDir:
    values = {"init": "pretrained", "trained": str(trained), "name": "", **model}
    return prepare_run(root, model=values, modules={"group": "all"})


def same_weights(one: Path, other: Path) -> bool:
    """The same numbers, whatever their dtype."""
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    return all(torch.equal(first[name].float(), second[name].float()) for name in first | second)


def warnings(run: RunDir) -> list[str]:
    return [event.message for event in EventReader(run.events).read() if isinstance(event, Warned)]


def test_an_adapter_learns_and_its_base_stays_as_it_was(adapted: RunDir, base: Path) -> None:
    found = read_training(adapted)
    assert found.validation_loss is not None
    assert found.base_validation_loss is not None
    assert found.validation_loss < found.base_validation_loss - 0.2
    assert same_weights(base, adapted.base)
    assert found.adapter is not None
    assert (found.adapter.rank, found.adapter.alpha, found.adapter.modules) == (4, 8.0, 14)
    trained = load_file(adapted.model / "adapter_model.safetensors")
    assert found.adapter.parameters == sum(tensor.numel() for tensor in trained.values())


def test_the_summary_is_what_the_saved_adapter_shows(adapted: RunDir) -> None:
    validation = TokenDataset.of_examples(adapted, adapted.validation)
    loss = mean_loss(load_model(adapted.model, CPU), validation, 256)
    assert read_training(adapted).validation_loss == pytest.approx(loss, rel=1e-5)


def test_weights_that_were_replaced_in_their_folder_are_trained_from(tmp_path: Path) -> None:
    folder = save_folder(small_llama(), tmp_path / "base")
    run = lora_run(tmp_path / "run", folder)
    run_here(run, train)
    small_llama(seed=1).save_pretrained(folder)
    run_here(run, train)
    assert same_weights(folder, run.base)


@torch.no_grad()
def test_peft_itself_opens_the_adapter(adapted: RunDir, base: Path) -> None:
    ids = torch.arange(3, 19)[None]
    config = json.loads((adapted.model / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)
    plain = AutoModelForCausalLM.from_pretrained(base)
    theirs = PeftModel.from_pretrained(plain, adapted.model).eval()
    assert torch.equal(
        theirs(input_ids=ids).logits, load_model(adapted.model, CPU)(input_ids=ids).logits
    )


def test_an_adapters_training_killed_in_the_middle_ends_with_the_same_weights(
    adapted: RunDir, base: Path, tmp_path: Path
) -> None:
    run = lora_run(tmp_path, base)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pipeline", "train", str(run.root)]
    stage = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (run.checkpoints / "checkpoint-3/trainer_state.json").exists():
        assert stage.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(stage.pid, signal.SIGKILL)
    stage.wait()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_here(run)
    torch.set_num_threads(threads)
    weights = [load_file(one.model / "adapter_model.safetensors") for one in (run, adapted)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0] | weights[1])


def test_a_finished_training_that_was_not_saved_is_taken_from_its_last_checkpoint(
    adapted: RunDir, tmp_path: Path
) -> None:
    run = RunDir(shutil.copytree(adapted.root, tmp_path / "copy"))
    shutil.rmtree(run.model)
    train_here(run)
    weights = [load_file(one.model / "adapter_model.safetensors") for one in (run, adapted)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_gradient_checkpointing_trains_the_same_adapter(base: Path, tmp_path: Path) -> None:
    losses = []
    for name, option in (("a", False), ("b", True)):
        run = prepare_run(
            tmp_path / name,
            model={"init": "pretrained", "name": str(base)},
            lora={"rank": 4},
            train={"max_steps": 4, "learning_rate": 1e-2, "gradient_checkpointing": option},
            modules={"group": "all"},
        )
        losses.append(read_training(train_here(run)).validation_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_what_of_an_adapter_is_not_traced_is_said(base: Path, tmp_path: Path) -> None:
    run = prepare_run(
        tmp_path,
        model={"init": "pretrained", "name": str(base)},
        lora={"rank": 4},
        train={"max_steps": 1},
    )
    train_here(run)
    assert any("of the adapter's parameters" in message for message in warnings(run))


def fine_tuned(base: Path, folder: Path) -> Path:
    """A whole model whose weights are a little away from the base's."""
    model = AutoModelForCausalLM.from_pretrained(base)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.01)
    model.bfloat16().save_pretrained(folder)
    return folder


def test_a_model_trained_elsewhere_is_taken_as_it_is(base: Path, tmp_path: Path) -> None:
    trained = fine_tuned(base, tmp_path / "checkpoint-500")
    run = train_here(elsewhere(tmp_path / "run", trained, name=str(base)))
    assert same_weights(run.model, trained)
    summary = read_training(run)
    assert summary.trained_elsewhere == str(trained)
    assert (summary.steps, summary.tokens, summary.adapter) == (0, 0, None)
    validation = TokenDataset.of_examples(run, run.validation)
    for folder, told in (
        (run.model, summary.validation_loss),
        (run.base, summary.base_validation_loss),
    ):
        assert told == pytest.approx(mean_loss(load_model(folder, CPU), validation, 256), rel=1e-5)


def test_without_a_base_its_figures_are_missing(base: Path, tmp_path: Path) -> None:
    run = train_here(elsewhere(tmp_path, base))
    assert not run.base.exists()
    assert read_training(run).base_validation_loss is None
    assert read_training(run).validation_loss is not None


def ready(base: Path, folder: Path) -> Path:
    """A ready adapter of other software's making: saved by peft."""
    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj", "up_proj"])
    adapter = get_peft_model(model, config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in adapter.parameters():
            if weight.requires_grad:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.05)
    adapter.save_pretrained(str(folder))
    return folder


@pytest.mark.parametrize("named", [True, False])
def test_a_ready_adapter_sits_on_its_base(base: Path, tmp_path: Path, named: bool) -> None:
    folder = ready(base, tmp_path / "adapter")
    run = train_here(elsewhere(tmp_path / "run", folder, name=str(base) if named else ""))
    ids = torch.arange(3, 19)[None]
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()
    assert torch.equal(
        theirs(input_ids=ids).logits, load_model(run.model, CPU)(input_ids=ids).logits
    )
    summary = read_training(run)
    assert summary.adapter is not None
    assert (summary.adapter.rank, summary.adapter.modules) == (2, 4)
    assert summary.base_validation_loss is not None


def test_an_adapter_of_another_base_is_doubted(base: Path, tmp_path: Path) -> None:
    folder = ready(base, tmp_path / "adapter")
    copied = Path(shutil.copytree(base, tmp_path / "another"))
    run = train_here(elsewhere(tmp_path / "run", folder, name=str(copied)))
    assert any("unless both are the same weights" in message for message in warnings(run))


def test_an_adapters_base_on_another_machine_is_asked_for(base: Path, tmp_path: Path) -> None:
    folder = ready(base, tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "/home/someone/models/base"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError) as caught:
        train_here(elsewhere(tmp_path / "run", folder))
    assert "/home/someone/models/base, which is not here" in caught.value.message
    assert "model.name" in caught.value.hint


def test_a_model_that_does_not_know_the_text_is_doubted(
    adapted: RunDir, base: Path, tmp_path: Path
) -> None:
    learned = save_folder(load_model(adapted.model, CPU, merged=True), tmp_path / "learned")
    run = train_here(elsewhere(tmp_path / "run", base, name=str(learned)))
    assert any("was it trained on this text" in message for message in warnings(run))


def test_a_model_that_loads_as_another_is_not_finished(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(model: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
        save_model(model, tokenizer, folder)
        weights = load_file(folder / "model.safetensors")
        weights["model.layers.0.mlp.up_proj.weight"] *= 3
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(train, "save_model", spoil)
    run = elsewhere(tmp_path, base)
    with pytest.raises(ModelError, match="is not the one that was saved there"):
        train_here(run)
    assert not run.summary("train").exists()


def test_the_mean_loss_is_that_of_every_token_alone(adapted: RunDir) -> None:
    model = load_model(adapted.base, CPU)
    examples = TokenDataset.of_examples(adapted).subset(range(7))
    total, count = 0.0, 0
    for index in range(len(examples)):
        ids = examples[index]["input_ids"][None]
        with torch.no_grad():
            chances = model(input_ids=ids).logits.log_softmax(-1)[0, :-1]
        total -= float(chances.gather(1, ids[0, 1:, None]).sum())
        count += ids.shape[1] - 1
    assert mean_loss(model, examples, 64) == pytest.approx(total / count, rel=1e-5)
    assert mean_loss(model, examples.subset([]), 64) is None
