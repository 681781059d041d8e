"""The editors of settings and of prompts: every key of theirs."""

from __future__ import annotations

import json
import re
import threading
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, TextArea
from textual.widgets._toast import Toast

from pipeline.contract.results.plan import Advice, write_plan
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from tests.tui import sample_run
from tests.tui.sample_plan import small_plan
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.drafts.fields import all_fields
from tui.screens.dialogs.confirm import ConfirmDialog
from tui.screens.dialogs.conversation_form import ConversationForm
from tui.screens.dialogs.help import Help
from tui.screens.dialogs.prompt_form import PromptForm
from tui.screens.prompts import PromptsScreen
from tui.screens.run import RunScreen
from tui.screens.settings import SettingsScreen
from tui.widgets.draft_list import DraftList
from tui.widgets.settings_list import SettingsList

EPOCHS = profile("demo").train.epochs


async def open_settings(pilot: Pilot[None], name: str = "") -> SettingsList:
    await until_shown(pilot, "Stages ·")
    await pilot.press("S")
    await until_shown(pilot, "Settings ·")
    rows = pilot.app.screen.query_one(SettingsList)
    if name:
        rows.cursor = [field.name for field in rows.fields].index(name)
        await pilot.pause()
    return rows


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_setting_tells_type_default_meaning_and_what_it_makes_stale(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=size) as pilot:
        await open_settings(pilot, "train.learning_rate")
        text = " ".join(screen_text(app).split())
        assert "Peak of the cosine schedule." in text
        assert "type number > 0" in text
        assert "default 2e-05" in text
        rate = profile("demo").train.learning_rate
        assert f"now {rate}" in text
        assert "makes stale train, factors" in text
        assert re.search(rf"• train\.learning_rate +{rate}", screen_text(app))


async def test_a_value_is_edited_in_its_place_and_checked_as_it_is_typed(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 30)) as pilot:
        rows = await open_settings(pilot, "train.epochs")
        line = next(n for n, s in enumerate(screen_text(app).splitlines()) if "train.epochs" in s)
        await pilot.press("enter")
        entry = app.screen.query_one("#value", Input)
        await until(pilot, lambda: entry.region.y == line)
        assert screen_text(app).splitlines()[line][entry.region.x :].startswith(f"{EPOCHS}")
        entry.value = "-1"
        await until_shown(pilot, "✗ valid: number > 0")
        assert line == next(
            n for n, s in enumerate(screen_text(app).splitlines()) if "train.epochs" in s
        )
        await pilot.press("enter")
        assert entry.display
        entry.value = "4e0"
        await pilot.press("enter")
        await until(pilot, lambda: not entry.display)
        await until_shown(pilot, "* train.epochs")
        assert rows.values["train.epochs"] == 4e0
        await pilot.press("u")
        await until(pilot, lambda: rows.values["train.epochs"] == EPOCHS)
        await pilot.press("delete")
        await until(pilot, lambda: rows.values["train.epochs"] == 1.0)
        await pilot.press("enter", "escape")
        await until(pilot, lambda: not entry.display)
        assert isinstance(app.screen, SettingsScreen)


async def test_named_values_are_stepped_through(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        rows = await open_settings(pilot, "run.device")

        def stands_at(value: str) -> bool:
            return bool(rows.values["run.device"] == value)

        for key, value in (
            ("enter", "cpu"),
            ("right", "cuda"),
            ("right", "auto"),
            ("left", "cuda"),
        ):
            await pilot.press(key)
            await until(pilot, partial(stands_at, value))
        rows.cursor = [field.name for field in rows.fields].index("data.strict")
        await pilot.press("enter")
        await until(pilot, lambda: rows.values["data.strict"] is True)


async def test_the_diff_is_shown_before_anything_is_written(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    before = run.settings.read_text()
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await open_settings(pilot, "factors.fisher")
        await pilot.press("w")
        await until_shown(pilot, "nothing has changed")
        await pilot.press("right", "w")
        await until_shown(pilot, '-fisher = "true"')
        await until_shown(pilot, '+fisher = "empirical"')
        await until_shown(pilot, "becomes stale: factors, scores, inspect, evaluate, report")
        await pilot.press("n")
        await pilot.pause()
        assert run.settings.read_text() == before
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until_shown(pilot, "saved")
        assert run.settings.read_text() == before.replace('fisher = "true"', 'fisher = "empirical"')
        await pilot.press("escape")
        await until_shown(pilot, "≠ factors   stale")


async def test_leaving_with_changes_asks(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await open_settings(pilot, "run.device")
        await pilot.press("right", "escape")
        await until_shown(pilot, "Leave without saving?")
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press("escape")
        await until_shown(pilot, "Leave without saving?")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert load_settings(run.settings).run.device == "auto"


async def test_settings_that_clash_are_told_and_a_run_at_work_is_not_changed(
    tmp_path: Path,
) -> None:
    run = sample_run.new_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        rows = await open_settings(pilot, "data.source")
        await pilot.press("right")
        await until_shown(pilot, "data.path is empty: name a dataset")
        await pilot.press("w")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmDialog)
        await pilot.press("u")
        rows.cursor = 1
        await pilot.press("right", "w")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        acquire_lock(run)
        await pilot.press("y")
        await until_shown(pilot, "is at work: its settings cannot")


async def test_what_the_plan_advises_is_taken_in_by_a_key(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    advice = Advice("scores does not fit: with this it does", {"scores": {"module_partitions": 4}})
    plan = small_plan(load_settings(run.settings), run, advice)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        rows = await open_settings(pilot, "scores.module_partitions")
        await pilot.press("i")
        await until(pilot, lambda: len(app._notifications) == 1)  # there is no plan yet
        assert rows.values["scores.module_partitions"] == 1
        write_plan(run, plan)
        await pilot.press("i")
        await until(pilot, lambda: rows.values["scores.module_partitions"] == 4)
        assert load_settings(run.settings).scores.module_partitions == 1  # not saved yet
        await pilot.press("w")
        await until_shown(pilot, "module_partitions = 4")
        await pilot.press("y")
        await until(pilot, lambda: load_settings(run.settings).scores.module_partitions == 4)


async def test_settings_are_filtered_by_name_and_meaning(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        rows = await open_settings(pilot)
        await pilot.press("slash", *"cosine peak", "enter")
        await until(pilot, lambda: {f.key for f in rows.fields} >= {"learning_rate"})
        assert len(rows.fields) < 4
        await pilot.press("escape")
        await until(pilot, lambda: len(rows.fields) == len(all_fields()))


async def test_a_file_that_does_not_parse_is_told(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    run.settings.write_text("[train\n")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("S")
        await until_shown(pilot, "cannot be edited here")
        await pilot.press("w", "u", "enter", "escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


# Prompts


@pytest.fixture
def own(tmp_path: Path) -> RunDir:
    run = sample_run.new_run(tmp_path / "runs", "own")
    text = run.settings.read_text().replace('source = "demo"', 'source = "local"')
    run.settings.write_text(text.replace('path = ""', f'path = "{tmp_path}"'))
    prompts = [
        Prompt(id="capital", prompt="The capital is", completion=" Oslo"),
        Prompt(id="water", prompt="Water boils\nat", completion=" 100 °C"),
    ]
    save_prompts(run.prompts, prompts)
    return run


async def open_prompts(pilot: Pilot[None]) -> DraftList:
    await until_shown(pilot, "Stages ·")
    await pilot.press("P")
    await until_shown(pilot, "In full")
    return pilot.app.screen.query_one(DraftList)


async def test_a_prompt_is_edited_and_saved(own: RunDir) -> None:
    app = HeadwaterApp(own.root.parent, own)
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        rows = await open_prompts(pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, PromptForm))
        words = app.screen.query_one("#prompt", TextArea)
        assert words.text == "Water boils\nat"
        words.text = " "
        await until_shown(pilot, "the prompt is empty")
        await pilot.press("f2")
        assert isinstance(app.screen, PromptForm)
        words.text = "Ice melts\nat"
        app.screen.query_one("#completion", TextArea).text = " 0 °C"
        app.screen.query_one("#relevant", Input).value = "doc-1, doc-2"
        against = app.screen.query_one("#instead", Input)
        against.value = "0 °C "
        await until_shown(pilot, "is the completion itself")
        against.value = " 4 °C"
        app.screen.query_one("#set", Input).value = " water "
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, PromptsScreen))
        assert rows.cursor == 1
        await until_shown(pilot, "changed · w saves")
        await pilot.press("w")
        await until_shown(pilot, "no finished stage becomes stale")
        await pilot.press("y")
        await until_shown(pilot, "saved")
    expected = Prompt(
        id="water",
        prompt="Ice melts\nat",
        completion=" 0 °C",
        instead=" 4 °C",
        set="water",
        relevant=("doc-1", "doc-2"),
    )
    assert load_prompts(own.prompts)[1] == expected


CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the capital?"},
    {"role": "assistant", "content": "Oslo"},
]


async def test_a_conversation_is_edited_message_by_message(own: RunDir) -> None:
    save_prompts(own.prompts, [Prompt.of_messages("chat", CONVERSATION, ["doc-1"])])
    app = HeadwaterApp(own.root.parent, own)
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await open_prompts(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConversationForm))
        words = app.screen.query_one("#messages", TextArea)
        assert json.loads(words.text) == CONVERSATION
        for text, fault in (
            ("[", "the conversation is not JSON"),
            ('[{"role": "boss", "content": "x"}]', "message 1 has the role 'boss'"),
            ('[{"role": "assistant", "content": "x"}]', "begins with the answer"),
            ('[{"role": "user", "content": "x"}]', "the completion is empty"),
        ):
            words.text = text
            await until_shown(pilot, fault)
            await pilot.press("f2")
            assert isinstance(app.screen, ConversationForm)
        words.text = json.dumps([*CONVERSATION[:2], {"role": "assistant", "content": "Bergen"}])
        await pilot.press("f2")
        await until_shown(pilot, "changed · w saves")
        await pilot.press("w")
        await until_shown(pilot, "no finished stage becomes stale")
        await pilot.press("y")
        await until_shown(pilot, "saved")
    (saved,) = load_prompts(own.prompts)
    assert saved.messages[:2] == tuple(CONVERSATION[:2])
    assert (saved.id, saved.completion, saved.relevant) == ("chat", "Bergen", ("doc-1",))


async def test_a_new_prompt_of_a_run_on_conversations_is_one(own: RunDir) -> None:
    text = own.settings.read_text().replace('form = "text"', 'form = "chat"')
    own.settings.write_text(text.replace('chat_template = ""', 'chat_template = "zephyr"'))
    app = HeadwaterApp(own.root.parent, own)
    async with app.run_test(size=(80, 24)) as pilot:
        rows = await open_prompts(pilot)
        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, ConversationForm))
        app.screen.query_one("#id", Input).value = "new"
        app.screen.query_one("#messages", TextArea).text = json.dumps(CONVERSATION)
        await pilot.press("f2")
        await until(pilot, lambda: rows.count == 3)
        await until_shown(pilot, "user: What is the capital?")


async def test_tab_goes_to_a_prompt_only_where_it_scrolls(own: RunDir) -> None:
    long = Prompt(id="long", prompt="a word " * 1000, completion=" y")
    save_prompts(own.prompts, [*load_prompts(own.prompts), long])
    app = HeadwaterApp(own.root.parent, own)
    async with app.run_test(size=(80, 24)) as pilot:
        rows = await open_prompts(pilot)
        await pilot.press("tab", "j")
        await until(pilot, lambda: rows.cursor == 1)
        assert app.focused is rows
        await pilot.press("G", "tab")
        await until(pilot, lambda: app.focused is not rows)
        await pilot.press("j")
        await until(pilot, lambda: app.screen.query_one("#whole").scroll_y > 0)


async def test_prompts_are_added_duplicated_removed_and_imported(
    own: RunDir, tmp_path: Path
) -> None:
    save_prompts(tmp_path / "more.jsonl", [Prompt(id="far", prompt="x", completion=" y")])
    app = HeadwaterApp(own.root.parent, own)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        rows = await open_prompts(pilot)

        def ids() -> list[str]:
            return [prompt.id for prompt in rows.prompts]

        await pilot.press("N")
        await until(pilot, lambda: isinstance(app.screen, PromptForm))
        assert app.focused is app.screen.query_one("#prompt")  # an id is made of its words
        await pilot.press("shift+tab", *"water", "enter")
        await until_shown(pilot, "id ✗ there is a prompt 'water' already")
        assert "prompt ✗ the prompt is empty" in screen_text(app)
        assert "empty; or set prompts.use_generated " in screen_text(app)
        await pilot.press(*["backspace"] * 5, *"new", "enter")
        await until_shown(pilot, "id; left empty")
        assert app.focused is app.screen.query_one("#prompt")  # where the next fault is
        await pilot.press(*"Hi", "tab", "space", "y", "f2")
        await until(pilot, lambda: ids() == ["capital", "water", "new"])
        assert rows.prompts[2].completion == " y"
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, PromptForm))
        await pilot.press("f2")
        await until(pilot, lambda: ids() == ["capital", "water", "new", "new-2"])
        await pilot.press("g", "delete")
        await until_shown(pilot, "Remove capital?")
        await pilot.press("n")
        await pilot.press("backspace")
        await until_shown(pilot, "Remove capital?")
        await pilot.press("y")
        await until(pilot, lambda: ids() == ["water", "new", "new-2"])
        await pilot.press("i")
        await until_shown(pilot, "Import prompts")
        await pilot.press("enter")
        await until_shown(pilot, "name a file or a folder")
        app.screen.query_one(Input).value = str(tmp_path / "nowhere")
        await until_shown(pilot, "there is no such file or folder")
        app.screen.query_one(Input).value = str(tmp_path / "more.jsonl")
        await pilot.press("enter")
        await until(pilot, lambda: ids()[-1] == "far")
        await until_shown(pilot, "1 prompt came")
        await pilot.press("escape")
        await until_shown(pilot, "Leave without saving?")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
    assert [prompt.id for prompt in load_prompts(own.prompts)] == ["capital", "water"]


async def test_a_missing_blank_is_told_and_mended_by_a_key(own: RunDir) -> None:
    save_prompts(own.prompts, [Prompt(id="capital", prompt="The capital is", completion="Oslo")])
    app = HeadwaterApp(own.root.parent, own)
    async with app.run_test(size=(100, 40)) as pilot:
        rows = await open_prompts(pilot)
        await until_shown(pilot, "the prompt's last one · _ adds it")
        await pilot.press("enter")
        await until_shown(pilot, "completion · no space between")
        await pilot.press("escape", "underscore")
        await until(pilot, lambda: rows.prompts[0].completion == " Oslo")
        await until_shown(pilot, "changed · w saves")
        assert "no space between" not in screen_text(app)


async def test_the_prompts_of_the_demo_are_only_shown(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        rows = await open_prompts(pilot)
        await until_shown(pilot, "the demo corpus brings its own prompts")
        assert "a Add" not in screen_text(app)
        await pilot.press("N", "delete", "enter")
        await pilot.pause()
        assert isinstance(app.screen, PromptsScreen)
        assert len(rows.prompts) == 6


async def test_a_long_question_keeps_its_answers_in_view(tmp_path: Path) -> None:
    """At 80x24 a long list of changes pushed `y` and `n` out of the box."""
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "waiting")
        app.push_screen(ConfirmDialog("Save?", "\n".join(map(str, range(60))), "save", "not yet"))
        await until_shown(pilot, "not yet")
        await until_shown(pilot, "y save")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_setting_is_told_in_full(tmp_path: Path, size: tuple[int, int]) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=size) as pilot:
        rows = await open_settings(pilot, "run.seed")
        for position, field in enumerate(rows.fields):
            rows.cursor = position
            await until_shown(pilot, f"╭─ {field.name[:36]}")
            shown = screen_text(app)  # what it is now stands last
            assert "makes stale" in shown, field.name
            assert re.search(r"│ now  ", shown), field.name


async def test_prompts_of_the_corpus_cannot_be_edited_and_enter_says_so(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("P")
        await until_shown(pilot, "the demo corpus brings its own prompts")
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen.query(Toast)) == 1)


async def test_the_prompts_are_read_while_the_screen_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 prompts kept every key waiting until all were read."""
    may_read = threading.Event()

    def read_late(path: Path, generated: bool) -> list[Prompt]:
        assert may_read.wait(60)
        return load_prompts(path, generated)

    monkeypatch.setattr("tui.drafts.prompts.load_prompts", read_late)
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("P", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PromptsScreen))
        await pilot.press("escape")  # which need not wait either
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.press("P", "j")  # which is meant for the prompts
        await until(pilot, lambda: isinstance(app.screen, PromptsScreen))
        assert not app.screen.query_one(DraftList).prompts
        may_read.set()
        await until_shown(pilot, "▌ home-1")
