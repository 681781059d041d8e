"""What settings name outside the run is looked up once, when the run is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.contract.files import write_text
from pipeline.contract.run.freshness import RunFreshness, begin, finish
from pipeline.contract.run.new_run import change_settings, write_run
from pipeline.contract.run.outside_paths import places
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES, upstream
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a model, texts and prompts; the current folder is another."""
    for folder in ("tiny", "models/tiny", "texts", "prompts", "rows"):
        (tmp_path / "home" / folder).mkdir(parents=True)
    (tmp_path / "home/texts/a.txt").write_text("The river runs past the mill.")
    (tmp_path / "home/prompts/p.jsonl").write_text('{"id":"a","prompt":"b","completion":" c"}')
    (tmp_path / "away").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "away")
    return tmp_path / "home"


def made(home: Path, **sections: dict[str, Any]) -> Settings:
    """The settings of a run that is made from a file in the home folder."""
    values = {"data": {"source": "local", "path": "texts"}, **sections}
    text = render_settings(Settings.model_validate(values))
    return write_run(RunDir(home / "runs/one"), text, origin=home / "settings.toml")


def test_every_place_is_known() -> None:
    assert {(section, key) for section, key, _ in places()} >= {
        ("data", "path"),
        ("tokenizer", "source"),
        ("model", "name"),
        ("model", "trained"),
        ("prompts", "path"),
        ("benchmark", "data"),
        ("index", "added"),
        ("validation", "outside"),
    }


@pytest.mark.parametrize("name", ["tiny", "./tiny", "~/tiny", "models/../tiny"])
def test_a_models_folder_is_stored_by_its_whole_path(home: Path, name: str) -> None:
    sections = {"model": {"name": name, "trained": name}, "tokenizer": {"source": name}}
    settings = made(home, **sections)
    whole = str(home / "tiny")
    assert (settings.model.name, settings.model.trained, settings.tokenizer.source) == (
        whole,
        whole,
        whole,
    )
    assert load_settings(home / "runs/one/settings.toml") == settings


def test_a_name_of_the_hub_stays_one(home: Path) -> None:
    assert made(home, model={"name": "org/model"}).model.name == "org/model"
    assert made(home, model={"name": "gpt2"}).model.name == "gpt2"
    assert made(home, tokenizer={"source": "model"}).tokenizer.source == "model"


def test_a_folder_that_is_not_there_is_no_name_of_the_hub(home: Path) -> None:
    assert made(home, model={"name": "~/gone"}).model.name == str(home / "gone")
    assert made(home, model={"name": "./gone"}).model.name == str(home / "gone")


def test_a_folder_in_the_current_folder_counts_where_the_settings_have_none(home: Path) -> None:
    (home.parent / "away/here").mkdir()
    assert made(home, model={"name": "here"}).model.name == str(home.parent / "away/here")


def test_a_home_folder_works_in_every_path(home: Path) -> None:
    settings = made(
        home,
        data={"source": "local", "path": "~/texts"},
        prompts={"path": "~/prompts"},
        benchmark={"data": "~/rows"},
        index={"added": ["~/texts", "texts/a.txt"]},
        validation={"outside": ["~/scores.npy"]},
    )
    assert settings.data.path == str(home / "texts")
    assert settings.prompts.path == str(home / "prompts")
    assert settings.benchmark.data == str(home / "rows")
    assert settings.index.added == [str(home / "texts"), str(home / "texts/a.txt")]
    assert settings.validation.outside == [str(home / "scores.npy")]


def test_new_paths_of_a_run_are_relative_to_the_current_folder(home: Path) -> None:
    settings = made(home)
    run = RunDir(home / "runs/one")
    (home.parent / "away/model").mkdir()
    text = render_settings(settings).replace('name = "TinyLlama/TinyLlama_v1.1"', 'name = "model"')
    assert change_settings(run, text).model.name == str(home.parent / "away/model")
    assert load_settings(run.settings).model.name == str(home.parent / "away/model")


def finished(run: RunDir, settings: Settings, *stages: str) -> None:
    for stage in stages:
        fingerprint = begin(stage, settings, run)
        finish(stage, fingerprint, settings, run, 0.1)


def test_a_model_that_changed_after_prepare_makes_all_stages_stale(home: Path) -> None:
    (home / "tiny/config.json").write_text("{}")
    settings = made(home, model={"name": "tiny"})
    run = RunDir(home / "runs/one")
    finished(run, settings, "prepare", "train")
    assert RunFreshness(settings, run).is_fresh("train")
    (home / "tiny/config.json").write_text('{"other": 1}')
    after = RunFreshness(settings, run)
    assert not after.is_fresh("prepare")
    assert after.unmet("train") == ["prepare"]


def test_a_run_on_another_machine_has_no_folder_to_compare(home: Path) -> None:
    (home / "tiny/config.json").write_text("{}")
    settings = made(home, model={"name": "tiny"})
    run = RunDir(home / "runs/one")
    finished(run, settings, "prepare", "train")
    (home / "tiny").rename(home / "elsewhere")
    (home / "texts").rename(home / "elsewhere too")
    assert RunFreshness(settings, run).is_fresh("train")


def test_what_changed_while_a_stage_ran_makes_it_stale(home: Path) -> None:
    settings = made(home)
    run = RunDir(home / "runs/one")
    fingerprint = begin("prepare", settings, run)
    (home / "texts/b.txt").write_text("More.")
    finish("prepare", fingerprint, settings, run, 0.1)
    assert not RunFreshness(settings, run).is_fresh("prepare")


def test_an_attempt_on_other_files_starts_from_nothing(home: Path) -> None:
    (home / "tiny/config.json").write_text("{}")
    settings = made(home, model={"name": "tiny"})
    run = RunDir(home / "runs/one")
    finished(run, settings, "prepare")
    begin("train", settings, run)
    run.base.mkdir(parents=True)
    begin("train", settings, run)
    assert run.base.exists(), "the same attempt goes on"
    (home / "tiny/config.json").write_text('{"other": 1}')
    begin("train", settings, run)
    assert not run.base.exists()


READ = [
    ("prepare", "data", "path"),
    ("prepare", "data", "held_out"),
    ("prepare", "data", "chat_template"),
    ("prepare", "tokenizer", "source"),
    ("prepare", "model", "name"),
    ("prepare", "model", "trained"),
    ("train", "model", "name"),
    ("train", "model", "trained"),
    ("benchmark", "benchmark", "data"),
    ("index", "index", "added"),
    ("validate", "validation", "outside"),
]
"""Stages, and the settings that name what they read outside the run."""


def reading(home: Path, folder: Path, section: str, key: str) -> Settings:
    """Settings that name the folder there."""
    values: dict[str, dict[str, Any]] = {section: {key: str(folder)}}
    if key == "chat_template":
        values[section] |= {"source": "local", "path": "texts", "form": "chat"}
    if key == "held_out":
        values[section]["source"] = "demo"
    if (section, key) == ("data", "path"):
        values[section]["source"] = "local"
    if key in ("added", "outside"):
        values[section] = {key: [str(folder)]}
    return made(home, **values)


def test_every_place_outside_is_read_by_a_stage_or_copied_into_the_run() -> None:
    read = {(section, key) for _, section, key in READ}
    assert {(section, key) for section, key, _ in places()} == read | {("prompts", "path")}


@pytest.mark.parametrize(("stage", "section", "key"), READ)
def test_a_file_that_was_replaced_is_read_again(
    home: Path, stage: str, section: str, key: str
) -> None:
    folder = home / "outside"
    (folder / "linked").mkdir(parents=True)
    (home / "elsewhere").mkdir()
    (folder / "linked/far").symlink_to(home / "elsewhere")
    (folder / "linked/far/back").symlink_to(folder)  # a circle
    files = [folder / "weights", home / "elsewhere/rows"]
    for file in files:
        file.write_text("old one")
    settings, run = reading(home, folder, section, key), RunDir(home / "runs/one")
    before = [name for name in STAGES if name in upstream(stage)]
    for file in files:
        finished(run, settings, *before, stage)
        write_text(run.stage(stage) / "result", "of the old files")
        assert RunFreshness(settings, run).is_fresh(stage)
        file.write_text("new!")
        assert not RunFreshness(settings, run).is_fresh(stage)
        begin(stage, settings, run)
        keeps = STAGES[stage].knows_its_files
        assert (run.stage(stage) / "result").exists() == keeps


@pytest.mark.parametrize(("stage", "section", "key"), READ)
def test_a_folder_that_is_away_for_a_time_costs_nothing(
    home: Path, stage: str, section: str, key: str
) -> None:
    folder = home / "outside"
    folder.mkdir()
    (folder / "weights").write_text("old")
    settings, run = reading(home, folder, section, key), RunDir(home / "runs/one")
    begin(stage, settings, run)
    write_text(run.stage(stage) / "checkpoint", "days of work")
    folder.rename(home / "away")
    begin(stage, settings, run)
    folder.mkdir()  # where a disk was mounted
    begin(stage, settings, run)
    folder.rmdir()
    (home / "away").rename(folder)
    begin(stage, settings, run)
    assert (run.stage(stage) / "checkpoint").exists()
    (folder / "weights").write_text("new!")
    begin(stage, settings, run)
    assert (run.stage(stage) / "checkpoint").exists() == STAGES[stage].knows_its_files


@pytest.mark.parametrize("written", ["{}/tiny", "{}//tiny/.", "{}/models/../tiny"])
def test_the_base_that_an_adapter_names_is_read_too(home: Path, written: str) -> None:
    base = written.format(home)
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": base})
    (home / "models/tiny/adapter_config.json").write_text(config)
    (home / "tiny/model.safetensors").write_text("old")
    settings = made(home, model={"name": "", "trained": "models/tiny"})
    run = RunDir(home / "runs/one")
    finished(run, settings, "prepare", "train")
    assert RunFreshness(settings, run).is_fresh("train")
    (home / "tiny/model.safetensors").write_text("new!")
    assert not RunFreshness(settings, run).is_fresh("train")


def test_the_recipe_of_a_model_trained_elsewhere_is_read_by_validate_alone(home: Path) -> None:
    settings = made(home, model={"name": "tiny", "trained": "models/tiny"})
    run = RunDir(home / "runs/one")
    train = settings.train.model_copy(update={"epochs": 7.0})
    changed = settings.model_copy(update={"train": train})
    before, after = RunFreshness(settings, run), RunFreshness(changed, run)
    assert before.fingerprint("train") == after.fingerprint("train")
    assert before.fingerprint("validate") != after.fingerprint("validate")
