"""`headwater demo` and `headwater demo --chat`: which runs they make, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import GROUPS
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import LoraSettings
from tui.cli import main
from tui.printed import narration
from tui.verbs import running

Started = list[tuple[str, tuple[str, ...]]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """The runs whose stages are started, with the stages; none of these works."""
    found: Started = []
    monkeypatch.setattr(
        running, "start_stages", lambda run, stages: found.append((run.name, stages))
    )
    return found


def demo(folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str, *options: str) -> Result:
    """`headwater demo`, in which the run `failing` fails with the code 7."""
    monkeypatch.setattr(narration, "follow", lambda run, _: 7 if run.name == failing else 0)
    return CliRunner().invoke(main, ["--runs", str(folder), "demo", "--no-tui", *options])


def test_the_demo_is_one_run_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    assert demo(tmp_path, monkeypatch, "demo", "--seed", "4").exit_code == 7
    assert started == [("demo", GROUPS["all"])]
    settings = load_settings(RunDir(tmp_path / "demo").settings)
    assert (settings.data.source, settings.data.form) == ("demo", "text")
    assert settings.model.init == "scratch"
    assert settings.run.seed == 4


def test_its_conversations_are_learnt_by_an_adapter_on_a_base_that_is_trained_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    result = demo(tmp_path, monkeypatch, "demo-chat", "--chat", "--seed", "4")
    assert result.exit_code == 7
    assert started == [("demo-chat-base", ("prepare", "train")), ("demo-chat", GROUPS["all"])]
    base = RunDir(tmp_path / "demo-chat-base")
    of_base, settings = (
        load_settings(run.settings) for run in (base, RunDir(tmp_path / "demo-chat"))
    )
    assert (of_base.model.init, of_base.lora) == ("scratch", LoraSettings())
    assert (settings.model.name, settings.tokenizer.source) == (str(base.model.resolve()), "model")
    assert settings.lora.rank
    assert settings.modules.group == "all"
    for one in (of_base, settings):
        assert (one.data.source, one.data.form) == ("demo", "chat")
    assert settings.run.seed == 4
    assert of_base.run.seed != 4  # other facts


def test_without_a_base_no_adapter_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    result = demo(tmp_path, monkeypatch, "mine-base", "--chat", "--run", "mine")
    assert result.exit_code == 7
    assert [name for name, _ in started] == ["mine-base"]
    assert not (tmp_path / "mine").exists()
