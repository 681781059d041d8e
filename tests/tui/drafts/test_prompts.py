"""Prompts in the making."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.contract.errors import RunBusyError, SettingsError
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from tests.tui import sample_run
from tui.drafts.prompts import PromptsDraft

CAPITAL = Prompt(id="capital", prompt="The capital is", completion=" Oslo")
WATER = Prompt(id="water", prompt="Water boils at", completion=" 100 °C", relevant=("doc-1",))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = sample_run.new_run(tmp_path / "runs", "own")
    text = made.settings.read_text().replace('source = "demo"', 'source = "local"')
    (tmp_path / "data").mkdir()
    made.settings.write_text(text.replace('path = ""', f'path = "{tmp_path / "data"}"'))
    save_prompts(made.prompts, [CAPITAL, WATER])
    return made


def draft_of(run: RunDir) -> PromptsDraft:
    return PromptsDraft(run, load_settings(run.settings))


def test_prompts_are_added_changed_copied_removed_and_saved(run: RunDir) -> None:
    draft = draft_of(run)
    assert draft.put(Prompt(id="new", prompt="a", completion=" b"), None) == 2
    draft.put(draft.copy_of(0), None)
    draft.put(CAPITAL.model_copy(update={"completion": " Bergen"}), 0)
    draft.remove(1)
    draft.save()
    assert [(p.id, p.completion) for p in load_prompts(run.prompts)] == [
        ("capital", " Bergen"),
        ("new", " b"),
        ("capital-2", " Oslo"),
    ]
    assert not draft.is_changed


def test_a_copy_takes_an_id_that_is_free(run: RunDir) -> None:
    draft = draft_of(run)
    draft.put(draft.copy_of(0), None)
    assert draft.copy_of(0).id == "capital-3"


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        (
            Prompt(id="water", prompt="a", completion="b"),
            {"id": "there is a prompt 'water' already"},
        ),
        (Prompt(id="x", prompt="\n", completion="b"), {"prompt": "the prompt is empty"}),
        (
            Prompt(id="water", prompt="a", completion=" "),
            {"id": "there is a prompt 'water' already", "completion": "the completion is empty"},
        ),
        (Prompt(id="x", prompt="a", completion="b"), {}),
        (Prompt(id="", prompt="a", completion="b"), {}),
    ],
)
def test_a_prompt_is_checked_field_by_field_as_it_is_written(
    run: RunDir, prompt: Prompt, told: dict[str, str]
) -> None:
    found = draft_of(run).faults(prompt, position=0)
    assert {name: text.partition(";")[0] for name, text in found.items()} == told


def test_a_prompt_without_an_id_gets_one_of_its_words(run: RunDir) -> None:
    draft = draft_of(run)
    for prompt in ("Who sells the bread here?", "Who sells the bread, again?", "…"):
        draft.put(Prompt(id="", prompt=prompt, completion=" x"), None)
    ids = [prompt.id for prompt in draft.prompts[2:]]
    assert ids == ["who-sells-the-bread", "who-sells-the-bread-2", "prompt"]
    draft.put(draft.prompts[2].model_copy(update={"id": ""}), 2)
    assert draft.prompts[2].id == "who-sells-the-bread"


@pytest.mark.parametrize(
    ("prompt", "completion", "lacks"),
    [
        ("The capital is", "Oslo", True),
        ("The capital is", " Oslo", False),
        ("The capital is ", "Oslo", False),
        ("Is it Oslo?", "Yes", False),
        ("Oslo", ", of course", False),
        ("日本の首都は", "東京", False),
        ("Die Hauptstadt heißt", "Oslo", True),
        ("x", "", False),
    ],
)
def test_a_completion_that_lacks_its_blank_is_known_and_mended(
    run: RunDir, prompt: str, completion: str, lacks: bool
) -> None:
    written = Prompt(id="x", prompt=prompt, completion=completion)
    assert written.runs_together is lacks
    draft = draft_of(run)
    position = draft.put(written, None)
    draft.part_words(position)
    assert draft.prompts[position].completion == f" {completion}"
    assert not draft.prompts[position].runs_together


def test_an_import_passes_over_ids_that_are_taken(run: RunDir, tmp_path: Path) -> None:
    file = tmp_path / "more.json"
    rows = [{"id": "water", "prompt": "x", "completion": "y"}, {"prompt": "x", "completion": "y"}]
    file.write_text(json.dumps(rows))
    draft = draft_of(run)
    assert draft.take_in(file) == (1, 1)
    assert [prompt.id for prompt in draft.prompts] == ["capital", "water", "more-2"]
    file.write_text("[{]")
    with pytest.raises(SettingsError, match="cannot read prompts"):
        draft.take_in(file)


def test_saving_tells_what_changes_and_becomes_stale(run: RunDir) -> None:
    sample_run.finish(run, "prepare", "train", "factors", "scores")
    draft = draft_of(run)
    draft.remove(0)
    assert draft.diff() == ['-{"id": "capital", "prompt": "The capital is", "completion": " Oslo"}']
    assert draft.made_stale() == ("prepare", "scores")  # the corpus stays, and the model


def test_the_last_prompt_and_a_run_at_work_stay(run: RunDir) -> None:
    draft = draft_of(run)
    draft.remove(0)
    draft.remove(0)
    with pytest.raises(SettingsError, match="needs a prompt"):
        draft.save()
    acquire_lock(run)
    draft.put(WATER, None)
    with pytest.raises(RunBusyError, match="is at work"):
        draft.save()
    assert load_prompts(run.prompts) == [CAPITAL, WATER]


def test_a_file_changed_elsewhere_is_not_overwritten(run: RunDir) -> None:
    draft = draft_of(run)
    draft.remove(0)
    save_prompts(run.prompts, [CAPITAL])
    with pytest.raises(RunBusyError, match="somebody else"):
        draft.save()
    assert load_prompts(run.prompts) == [CAPITAL]


def test_the_demo_corpus_brings_prompts_that_are_only_shown(tmp_path: Path) -> None:
    draft = draft_of(sample_run.scored_run(tmp_path))
    assert draft.is_fixed
    assert len(draft.prompts) == 6
