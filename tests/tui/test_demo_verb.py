"""`headwater demo` and `headwater demo --chat`: which runs they make, and in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.results.answers import GreedyAnswer, write_answers
from pipeline.contract.results.scores import Retrieval, read_scores_summary, write_scores_summary
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import GROUPS
from pipeline.contract.settings.demo import HIGHEST_SEED
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import LoraSettings
from tests.tui.test_cli import scored_run
from tui.cli import main
from tui.printed import narration, tables
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


@pytest.mark.parametrize("written", [" a whale", "a whale"])  # of a text, of a conversation
def test_an_answer_is_printed_apart_from_its_question(tmp_path: Path, written: str) -> None:
    run = scored_run(tmp_path)
    write_answers(run, [GreedyAnswer("sea", "At sea", " a whale", written, correct=True)])
    summary, found = read_scores_summary(run), Retrieval(recall=0.5, k=5, mrr=1.0, top1=1.0)
    evaluation = {summary.default_method: found}
    write_scores_summary(run, replace(summary, evaluation=evaluation))
    assert "At sea → a whale\n" in tables.demo_summary(run)


@pytest.mark.parametrize("how", [(), ("--chat",)])
def test_a_seed_beyond_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started, how: tuple[str, ...]
) -> None:
    highest = str(HIGHEST_SEED)
    assert demo(tmp_path, monkeypatch, "none", "--seed", str(HIGHEST_SEED + 1), *how).exit_code == 2
    assert not started
    failing = "demo-chat-base" if how else "demo"
    assert demo(tmp_path, monkeypatch, failing, "--seed", highest, *how).exit_code == 7
