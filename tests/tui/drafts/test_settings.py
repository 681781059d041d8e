"""Settings in the making keep everything that a person wrote around them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.contract.errors import RunBusyError, SettingsError
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from tests.tui import sample_run
from tui.drafts.fields import Field, all_fields, read_typed, shown
from tui.drafts.settings import SettingsDraft

OWN = """\
# mine
[data]   # where the text lies
path = "." # here
source = "local"

# about training
[train]
learning_rate = 3e-4   # was 1e-3
epochs = 2.0
"""


def field(name: str) -> Field:
    return next(field for field in all_fields() if field.name == name)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "own")
    made.root.mkdir()
    made.settings.write_text(OWN)
    return made


def test_a_change_touches_one_line_and_keeps_its_comment(run: RunDir) -> None:
    draft = SettingsDraft(run)
    draft.set(field("train.learning_rate"), 1e-4, "1e-4")
    assert draft.text == OWN.replace("3e-4", "1e-4")
    assert draft.diff() == [
        " [train]",
        "-learning_rate = 3e-4   # was 1e-3",
        "+learning_rate = 1e-4   # was 1e-3",
        " epochs = 2.0",
    ]


def test_a_setting_that_the_file_does_not_name_goes_below_its_header(run: RunDir) -> None:
    draft = SettingsDraft(run)
    draft.set(field("data.limit"), 7)
    draft.set(field("modules.layers"), "0-3")
    assert "[data]   # where the text lies\nlimit = 7\npath" in draft.text
    assert draft.text.endswith('\n[modules]\nlayers = "0-3"\n')
    assert "\n# about training\n[train]" in draft.text
    draft.save()
    assert load_settings(run.settings).data.limit == 7


def test_a_saved_path_is_whole_and_can_be_saved_over(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "texts").mkdir()
    monkeypatch.chdir(tmp_path)
    draft = SettingsDraft(run)
    draft.set(field("data.path"), "texts")
    draft.save()
    assert draft.value(field("data.path")) == str(tmp_path / "texts")
    draft.set(field("data.limit"), 7)
    draft.save()
    assert load_settings(run.settings).data.limit == 7


def test_what_is_taken_back_is_no_change(run: RunDir) -> None:
    draft = SettingsDraft(run)
    draft.set(field("train.epochs"), 9.0, "9.0")
    assert draft.differs(field("train.epochs"))
    draft.take_back(field("train.epochs"))
    assert not draft.is_changed


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("train.epochs", "3", 3),
        ("train.learning_rate", " 2e-5 ", 2e-5),
        ("data.path", "my data", "my data"),
        ("data.path", r'"tab\there"', "tab\there"),
        ("factors.strategies", "ekfac, kfac", ["ekfac", "kfac"]),
        ("factors.strategies", '["ekfac"]', ["ekfac"]),
        ("train.trackers", "", []),
        ("scores.damping", "heuristic", "heuristic"),
        ("scores.damping", "1e-8", 1e-8),
        ("factors.fisher", "true", "true"),
        ("data.strict", "true", True),
    ],
)
def test_text_as_typed_becomes_the_value_that_is_meant(
    run: RunDir, name: str, typed: str, value: object
) -> None:
    assert read_typed(field(name), typed) == value
    assert SettingsDraft(run).fault(field(name), typed) == ""


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [
        ("train.epochs", "0", "valid: number > 0"),
        ("train.epochs", "many", "valid: number > 0"),
        ("data.validation_fraction", "1", "valid: number ≥ 0, < 1"),
        ("run.seed", "1.5", "valid: whole number ≥ 0, < 4,294,967,296"),
        ("factors.strategies", "ekfac, ekfak", 'valid: "ekfac", "kfac"'),
        ("factors.strategies", "", 'valid: "ekfac", "kfac"'),
        ("scores.damping", "heuristics", 'valid: a number ≥ 0, or "heuristic"'),
    ],
)
def test_a_wrong_value_is_told_with_the_right_ones(
    run: RunDir, name: str, typed: str, told: str
) -> None:
    assert SettingsDraft(run).fault(field(name), typed).startswith(told)


def test_every_setting_is_shown_as_it_would_be_typed(run: RunDir) -> None:
    draft = SettingsDraft(run)
    for each in all_fields():
        assert read_typed(each, shown(each.default)) == each.default
        assert draft.fault(each, shown(each.default)) == ""
        assert each.help
        assert each.kind != "value"


def test_settings_that_make_no_sense_together_are_told_and_not_saved(run: RunDir) -> None:
    draft = SettingsDraft(run)
    draft.set(field("model.init"), "scratch")
    assert 'needs model.init = "pretrained"' in draft.trouble()
    with pytest.raises(SettingsError):
        draft.save()
    assert run.settings.read_text() == OWN


def test_only_finished_stages_that_read_a_setting_become_stale(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    sample_run.finish(run, "prepare", "train", "factors", "scores")
    draft = SettingsDraft(run)
    draft.set(field("factors.fisher"), "empirical")
    assert draft.made_stale() == ("factors", "scores")
    draft.take_back(field("factors.fisher"))
    draft.set(field("inspect.colormap"), "magma")
    assert draft.made_stale() == ()


def test_a_run_at_work_and_a_file_changed_elsewhere_are_left_alone(run: RunDir) -> None:
    draft = SettingsDraft(run)
    draft.set(field("train.epochs"), 3.0, "3.0")
    lock = acquire_lock(run)
    with pytest.raises(RunBusyError, match="is at work"):
        draft.save()
    os.close(lock)
    run.settings.write_text(OWN + "# another hand\n")
    with pytest.raises(RunBusyError, match="somebody else"):
        draft.save()
    assert run.settings.read_text() == OWN + "# another hand\n"


@pytest.mark.parametrize("content", [b"[train\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_told(run: RunDir, content: bytes) -> None:
    run.settings.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be edited here"):
        SettingsDraft(run)
