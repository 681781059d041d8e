"""Settings: what is wrong is said with file, line, key, value and the valid values."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from pipeline.contract.errors import SettingsError, UsageError
from pipeline.contract.settings.loading import load_settings, parse_settings
from pipeline.contract.settings.profiles import PROFILES, STARTER_PROMPTS, profile, render_settings
from pipeline.contract.settings.prompts import load_prompts, save_prompts
from pipeline.contract.settings.schema import Settings

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", PROFILES)
def test_a_rendered_profile_reads_back_as_itself(name: str) -> None:
    assert parse_settings(render_settings(profile(name)), "x") == profile(name)


def test_every_setting_is_explained() -> None:
    for section in Settings.model_fields.values():
        assert isinstance(section.annotation, type)
        assert issubclass(section.annotation, BaseModel)
        for name, field in section.annotation.model_fields.items():
            assert field.description, name


def test_the_settings_file_of_the_project_is_what_init_writes() -> None:
    assert (ROOT / "settings.toml").read_text() == render_settings(profile("own-text"))


def test_the_prompts_of_the_project_are_what_init_writes(tmp_path: Path) -> None:
    save_prompts(tmp_path / "p.jsonl", STARTER_PROMPTS)
    assert (ROOT / "prompts/example.jsonl").read_text() == (tmp_path / "p.jsonl").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[data]\npath = "x"\nlimits = 3',
            "s.toml:3: unknown setting data.limits; did you mean limit? valid: source, path,",
        ),
        ("[dat]\nx = 1", "s.toml:1: unknown setting dat; did you mean data? valid: run, data,"),
        (
            '[data]\npath = "x"\n\n[train]\nlearning_rate = "fast"',
            's.toml:5: train.learning_rate = "fast": Input should be a valid number',
        ),
        (
            '[data]\nsource = "demo"\nform = "completion"',
            'with data.source = "demo" take "text" or "chat"',
        ),
        (
            '[data]\npath = "x"\n[run]\ndevice = "tpu"',
            's.toml:4: run.device = "tpu": valid: "auto", "cpu", "cuda"',
        ),
        (
            '[data]\npath = "x"\n[factors]\nstrategies = ["ekfc"]',
            's.toml:4: factors.strategies = "ekfc": valid: "ekfac", "kfac", "diagonal", "identity"',
        ),
        (
            '[data]\npath = "x"\n[scores]\ndamping = "auto"',
            's.toml:4: scores.damping = "auto": valid: a number ≥ 0, or "heuristic"',
        ),
        ('[data]\npath = "x"\n[train]\nepochs = 0', "s.toml:4: train.epochs = 0: Input should be"),
        ('[data]\npath = "x"\n[run]\nseed = "1"', 's.toml:4: run.seed = "1": Input should be'),
        (
            '[data]\npath = "x"\n[scores]\namp_dtype = "float16"',
            'scores.amp_dtype = "float16" needs factors.amp_dtype = "float16" too',
        ),
        ("[data]\n", "data.path is empty: name a dataset, a file or a folder"),
        ("data = ", "s.toml: not valid TOML"),
        (f"[run]\nseed = {10**25}", f"s.toml:2: run.seed = {10**25}: Input should be less than"),
        (
            f"[train]\nbatch_tokens = {10**25}",
            f"s.toml:2: train.batch_tokens = {10**25}: a whole number has at most 9,007,199,254,",
        ),
        (
            "[train]\nlearning_rate = inf",
            "s.toml:2: train.learning_rate = inf: Input should be a f",
        ),
        (
            "[train]\nlearning_rate = nan",
            "s.toml:2: train.learning_rate = nan: Input should be a f",
        ),
        ("[run]\nseed = " + "9" * 5000, "s.toml: not valid TOML: Exceeds the limit"),
        ("x = " + "[" * 5000, "s.toml: its tables or lists lie too deep in each other"),
        ("[" + "a." * 5000 + "a]", "s.toml: its tables or lists lie too deep in each other"),
        ('[run]\ndevice = "' + "x" * 100_000 + '"', "x" * 80 + '…": valid: "auto", "cpu", "cuda"'),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text, "s.toml")
    assert message in str(caught.value)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings('[data]\npath = 3\n[run]\nseed = -1\ndevice = "tpu"', "s.toml")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["2", "4", "5"]


def test_of_very_many_faults_the_first_are_named() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings("".join(f"k{n} = 1\n" for n in range(20_000)), "s.toml")
    first, *_, last = str(caught.value).splitlines()
    assert first.startswith("s.toml:1: unknown setting k0; valid: run")
    assert last.startswith("… and 19,98")
    assert len(str(caught.value).splitlines()) == 21


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_settings_and_prompts_that_are_no_files_are_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "settings.toml")
    with pytest.raises(SettingsError, match=r"cannot read .*settings\.toml"):
        load_settings(tmp_path / "settings.toml")
    (tmp_path / "prompts").mkdir()
    make(tmp_path / "prompts" / "a.jsonl")
    with pytest.raises(SettingsError, match=r"cannot read prompts from .*a\.jsonl"):
        load_prompts(tmp_path / "prompts")


def test_a_missing_settings_file_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="headwater init"):
        load_settings(tmp_path / "none.toml")


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="own-text, from-scratch, lora, trained-elsewhere, open"):
        profile("books")


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_prompts_come_from_a_folder_in_name_order(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", '{"id": "two", "prompt": "p", "completion": "c"}\n')
    write(tmp_path / "a.json", '[{"prompt": "p", "completion": "c"}]')
    write(tmp_path / "notes.md", "not prompts")
    assert [prompt.id for prompt in load_prompts(tmp_path)] == ["a-1", "two"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no prompts in"),
        (
            '{"id": "a", "prompt": "p", "completion": " "}',
            "p.jsonl:1: prompt 'a' has an empty comp",
        ),
        ('{"id": "a", "prompt": "", "completion": "c"}', "p.jsonl:1: prompt 'a' is empty"),
        ('{"id": "a", "completion": "c"}', "p.jsonl:1: prompt: Field required; keys: id, prompt"),
        ('{"id": "a", "prompt": "p", "answer": "c"}', "p.jsonl:1: answer: Extra inputs"),
        ("\n{not json}", "p.jsonl:2: not JSON"),
        ("\n" + "[" * 100_000, "cannot read prompts from"),
        ('\n{"id": ' + "[" * 100_000, "p.jsonl:2: not JSON: maximum recursion depth"),
        ('\n{"id": ' + "9" * 5000 + "}", "p.jsonl:2: not JSON: Exceeds the limit"),
        (
            r'{"id": "a", "prompt": "p \ud83d", "completion": "c"}',
            "p.jsonl:1: \\ud83d is half of a character",
        ),
        (
            '{"id": "a", "prompt": "p", "completion": "c"}\n' * 2,
            "p.jsonl:2: prompt id 'a' is taken already, by",
        ),
    ],
)
def test_wrong_prompts_are_refused_with_their_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_prompts(write(tmp_path / "p.jsonl", text))
    assert message in str(caught.value)


def test_an_empty_completion_is_fine_where_the_models_own_answer_is_traced(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", '{"id": "a", "prompt": "p"}')
    assert load_prompts(path, use_generated=True)[0].completion == ""


def test_settings_and_prompts_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    text = render_settings(profile("demo"))
    (tmp_path / "settings.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_settings(tmp_path / "settings.toml") == profile("demo")
    line = '{"id": "a", "prompt": "The", "completion": " sea"}'
    (tmp_path / "p.JSONL").write_bytes(b"\xef\xbb\xbf" + line.encode())
    assert [prompt.id for prompt in load_prompts(tmp_path / "p.JSONL")] == ["a"]
    assert [prompt.id for prompt in load_prompts(tmp_path)] == ["a"]


def test_settings_of_another_encoding_are_told(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(render_settings(profile("demo")).encode("utf-16"))
    with pytest.raises(SettingsError, match="UTF-16 text; save it as UTF-8"):
        load_settings(file)
