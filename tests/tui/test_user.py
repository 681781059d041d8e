"""The person's own keys, theme, pins and hints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tomli

from pipeline.contract.errors import SettingsError
from tests.tui import sample_run
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.keys import HINTS, KEYS, Scope, hint, keys_toml, written
from tui.person.user import User


def user(folder: Path, config: str = "") -> User:
    file = folder / "config.toml"
    if config:
        file.write_text(config)
    return User(file, folder / "state" / "state.json")


def test_every_action_has_a_name_of_its_own() -> None:
    names = [key.id for key in KEYS]
    assert len(names) == len(set(names))
    listed = keys_toml().replace("# ", "", 2 * len(KEYS)).splitlines()
    assert len(listed) == len(KEYS) + 1


def test_the_list_of_keys_is_a_settings_file_once_its_lines_are_wanted(tmp_path: Path) -> None:
    lines = [line.removeprefix("# ") for line in keys_toml().splitlines()]
    assert tomli.loads("\n".join(lines))["keys"] == {key.id: key.keys for key in KEYS}
    assert user(tmp_path, "\n".join(lines)).keys


@pytest.mark.parametrize("keys", ["+", "z, f12", "ctrl+g,slash", "shift+tab", "Z"])
def test_keys_are_letters_signs_and_names(tmp_path: Path, keys: str) -> None:
    config = (
        f'[keys]\n"run.devices" = {json.dumps(keys)}\n"chart.zoom.0.5" = "="\n"run.find" = "F"\n'
    )
    config += '"run.factors" = "f2"\n'
    assert user(tmp_path, config).keys["run.devices"] == keys


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        *[
            ("escape", "Esc"),
            ("ctrl+c", "^C"),
            ("f1", "F1"),
            ("slash", "/"),
            ("question_mark", "?"),
        ],
        *[("plus", "+"), ("+", "+"), ("left", "←"), ("shift+tab", "Shift+Tab"), ("G", "G")],
    ],
)
def test_a_key_is_written_as_on_a_keyboard(key: str, shown: str) -> None:
    assert written(key) == shown


async def test_no_text_names_a_key_that_was_changed(tmp_path: Path) -> None:
    config = '[keys]\n"runs.shelf" = "U"\n"runs.archive" = "u"\n"marks.mark" = "B"\n'
    config += '"dialog.answer.false" = "o,escape"\n"app.keys" = "W"\n"app.leave" = "Q"\n'
    for name in ("one", "two"):
        sample_run.new_run(tmp_path, name)
    app = HeadwaterApp(tmp_path, None, user(tmp_path, config))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_shown(pilot, "Loss · B marks")
        await pilot.press("delete")
        await until_shown(pilot, "u puts it away instead")
        await until_shown(pilot, "o keep it")
        await pilot.press("o", "u")
        await until_shown(pilot, "U shows it, u there brings it back")
        await pilot.press("y")
        await until_shown(pilot, "was put away; U shows it")
        await pilot.press("W")
        await until_shown(pilot, "the runs that were put away, or")
        await pilot.press("Q")
        await until(pilot, lambda: "the runs that were" not in screen_text(app))


async def test_other_keys_work_and_are_shown(tmp_path: Path) -> None:
    config = '[keys]\n"run.devices" = "z"\n"app.keys" = "f1"\n'
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path), user(tmp_path, config))
    async with app.run_test(size=(200, 60)) as pilot:
        await until_shown(pilot, "z Devices")
        await pilot.press("D")
        await pilot.pause()
        assert not app.screen.has_class("-devices")
        await pilot.press("z")
        await until(pilot, lambda: app.screen.has_class("-devices"))
        await pilot.press("f1")
        await until_shown(pilot, "every GPU with its last minutes")
        line = next(s for s in screen_text(app).splitlines() if "every GPU with" in s)
        assert line.split()[1] == "z"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('[keys]\n"run.device" = "z"\n', "no key is called 'run.device'"),
        ('[keys]\n"run.devices" = "a"\n', "'a' would be the key of run.run_all and of run.devices"),
        ('[keys]\n"run.devices" = "?"\n', "'?' would be the key of run.devices and of app.keys"),
        ('[keys]\n"runs.sort" = "/"\n', "'/' would be the key of runs.filter and of runs.sort"),
        ('[keys]\n"chart.inspect" = "a"\n', "'a' would be the key of run.run_all and of chart.in"),
        (
            '[keys]\n"scroll.move.1" = "j,s"\n',
            "'s' would be the key of run.run_stage and of scroll.mo",
        ),
        ('[keys]\n"run.devices" = ""\n', "run.devices: there is no key ''"),
        ('[keys]\n"run.devices" = "Esc"\n', "did you mean escape?"),
        ('[keys]\n"run.devices" = "z,ctrl+zz"\n', "run.devices: there is no key 'ctrl+zz'"),
        ('[keys]\n"entry.submit" = "z"\n', "entry.submit: 'z' alone will not do"),
        ('[keys]\n"settings.leave" = "z"\n', "add a key such as escape"),
        ('[keys]\n"dialog.answer.true" = "n"\n', "'n' would be the key of dialog.answer.true and"),
        (
            '[keys]\n"dialog.answer.true" = "k"\n',
            "'k' would be the key of scroll.move.-1 and of dia",
        ),
        ('[keys]\n"run.devices" = 3\n', "config.toml:2: keys.run.devices = 3: "),
        ("keys = 3\n", "config.toml:1: keys = 3: "),
        ('\ncolour = "x"\n', "config.toml:2: unknown setting colour; valid: theme, keys"),
        ('them = "x"\n', "unknown setting them; did you mean theme? valid: theme, keys"),
        ("theme = 3\n", "config.toml:1: theme = 3: "),
        ("[keys\n", "config.toml: not valid TOML: "),
    ],
)
def test_a_settings_file_that_makes_no_sense_is_told(
    tmp_path: Path, config: str, told: str
) -> None:
    with pytest.raises(SettingsError) as error:
        user(tmp_path, config)
    assert told in str(error.value)


def test_a_theme_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no theme 'pink'") as error:
        HeadwaterApp(tmp_path, None, user(tmp_path, 'theme = "pink"\n'))
    assert "headwater-16" in error.value.hint


async def test_a_chosen_theme_is_kept_with_the_rest_of_the_file(tmp_path: Path) -> None:
    config = '# mine\ntheme = "headwater"  # dark\n\n[keys]\n"run.devices" = "z"\n'
    app = HeadwaterApp(tmp_path, None, user(tmp_path, config))
    async with app.run_test() as pilot:
        assert app.theme == "headwater"
        app.theme = "textual-light"
        await until(pilot, lambda: "textual-light" in (tmp_path / "config.toml").read_text())
    assert (tmp_path / "config.toml").read_text() == config.replace(
        '"headwater"', '"textual-light"'
    )
    app = HeadwaterApp(tmp_path, None, user(tmp_path))
    assert app.theme == "textual-light"


@pytest.mark.parametrize("name", ["headwater", "headwater-16", "nord", "textual-light"])
async def test_a_person_s_theme_is_there_from_the_start(tmp_path: Path, name: str) -> None:
    (tmp_path / "begun").mkdir()
    (tmp_path / "set").mkdir()
    begun = HeadwaterApp(tmp_path, None, user(tmp_path / "begun", f'theme = "{name}"\n'))
    later = HeadwaterApp(tmp_path, None, user(tmp_path / "set"))
    looks = []
    for app in (begun, later):
        async with app.run_test() as pilot:
            app.theme = name
            await pilot.pause()
            filters = [(type(each), each.enabled) for each in app.get_line_filters()]
            pseudo = app.pseudo_classes - {"focus", "blur"}
            looks.append((app.screen.styles.background, pseudo, filters))
    assert looks[0] == looks[1]


async def test_a_theme_that_suits_the_terminal_is_not_written_down(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, None, user(tmp_path))
    async with app.run_test() as pilot:
        await pilot.pause()
    assert not (tmp_path / "config.toml").exists()


async def test_a_screen_is_explained_the_first_time_only(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path / "runs")
    for first in (True, False):
        app = HeadwaterApp(tmp_path / "runs", run, user(tmp_path))
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until_shown(pilot, "Stages ·")
            await pilot.pause()
            assert ("New here?" in screen_text(app)) == first


async def test_a_hint_does_not_lie_over_the_next_screen(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path / "runs")
    app = HeadwaterApp(tmp_path / "runs", run, user(tmp_path))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "New here?")
        await pilot.press("question_mark")
        await until_shown(pilot, "Keys")
        await pilot.pause()
        assert "New here?" not in screen_text(app)


async def test_a_hint_goes_with_the_next_key_and_help_repeats_it(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path / "runs")
    app = HeadwaterApp(tmp_path / "runs", run, user(tmp_path))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "New here?")
        await pilot.press("j")
        await until(pilot, lambda: "New here?" not in screen_text(app))
        await until_shown(pilot, "next            s runs it")
        await pilot.press("question_mark")
        await until_shown(pilot, "a runs every stage, s the selected one")


async def test_a_hint_makes_room_for_the_next_screens_own(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path), user(tmp_path))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "New here?")
        await pilot.press("I")
        await until_shown(pilot, "Enter opens a prompt")
        assert screen_text(app).count("New here?") == 1


async def test_a_hint_is_kept_for_a_page_that_shows_something(tmp_path: Path) -> None:
    run, person = sample_run.new_run(tmp_path / "runs"), user(tmp_path)
    app = HeadwaterApp(tmp_path / "runs", run, person)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "New here?")
        for key, missing in (("I", "scores"), ("E", "evaluate"), ("F", "inspect")):
            await pilot.press(key)
            await until_shown(pilot, f"Enter runs {missing} here")
            await pilot.press("escape")
    assert all(person.sees_first(scope) for scope in ("rankings", "evaluation", "factors"))


async def test_news_that_is_no_hint_stays_on_the_next_screen(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path / "runs")
    app = HeadwaterApp(tmp_path / "runs", run, user(tmp_path))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "New here?")
        app.notify("12 examples written")
        await until_shown(pilot, "12 examples written")
        await pilot.press("question_mark")
        await until_shown(pilot, "Keys")
        await pilot.pause()
        assert "12 examples written" in screen_text(app)


async def test_a_hint_breaks_where_it_was_meant_to(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path / "runs")
    app = HeadwaterApp(tmp_path / "runs", run, user(tmp_path))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_shown(pilot, "New here?")
        told = hint("run", {}).splitlines()
        shown = screen_text(app).splitlines()
        assert all(any(line in row for row in shown) for line in told)


@pytest.mark.parametrize("scope", sorted(HINTS))
def test_a_hint_has_room_on_a_small_screen(scope: Scope) -> None:
    assert max(map(len, hint(scope, {}).splitlines())) <= 74


async def test_without_a_home_to_write_to_everything_works_for_the_session(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file where a folder should be")  # root may write to every folder
    sample_run.new_run(tmp_path / "runs", "one")
    sample_run.new_run(tmp_path / "runs", "two")
    person = User.of({"HOME": str(home)})
    app = HeadwaterApp(tmp_path / "runs", None, person)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until_shown(pilot, "New here?")
        await pilot.press("asterisk")
        await until_shown(pilot, "what you chose holds until you leave")
        await until_shown(pilot, "⚑   two")
        app.clear_notifications()
        app.theme = "nord"
        await until_shown(pilot, "what you chose holds until you leave")
        assert person.theme == "nord"


async def test_a_settings_file_that_was_spoilt_meanwhile_is_left_alone(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, None, user(tmp_path))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        (tmp_path / "config.toml").write_text("[keys\n")
        app.theme = "nord"
        await until_shown(pilot, "what you chose holds until you leave")
    assert (tmp_path / "config.toml").read_text() == "[keys\n"


def test_hints_name_the_keys_as_they_are() -> None:
    assert hint("prompts", {"prompts.add": "z"}).startswith("z writes a prompt")
    assert hint("dialog", {}) == ""
    for scope in HINTS:
        assert "{" not in hint(scope, {})


@pytest.mark.parametrize(
    "torn",
    ["", "[]", '{"pins": 3, "seen": {}}', '{"pins": {"RUNS": 3}}', '{"pins": {"RUNS": [3]}}'],
)
def test_a_state_file_of_another_shape_counts_as_empty(tmp_path: Path, torn: str) -> None:
    (tmp_path / "state.json").write_text(torn.replace("RUNS", str(tmp_path)))
    fresh = User(state=tmp_path / "state.json")
    assert fresh.pins(tmp_path) == frozenset()
    fresh.pin(tmp_path, "demo")
    assert User(state=tmp_path / "state.json").pins(tmp_path) == {"demo"}


async def test_marks_and_parts_are_among_the_commands(tmp_path: Path) -> None:
    sample_run.new_run(tmp_path, "one")
    sample_run.new_run(tmp_path, "two")
    app = HeadwaterApp(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        await until_shown(pilot, "Runs · 2")
        await pilot.press("colon", *"mark the line")
        await until_shown(pilot, "take its mark away (Space)")
        await pilot.press("enter")
        await until_shown(pilot, "Loss · 1 marked")
