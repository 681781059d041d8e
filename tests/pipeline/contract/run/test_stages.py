"""Stages: what is out of date is known, and nothing old is ever met."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.contract.errors import UsageError
from pipeline.contract.run import file_marks, freshness, stages
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings

EVERY = set(stages.STAGES)
EVALUATED = {"prepare", "train", "generate", "evaluate", "benchmark"}
OF_THE_CORPUS = {"train", "factors", "inspect", "benchmark", "index"}
"""What new prompts leave as it is."""


def settings(**sections: dict[str, Any]) -> Settings:
    return Settings.model_validate({"data": {"path": "no-such-file"}, **sections})


def finish(run: RunDir, name: str, with_settings: Settings) -> None:
    fingerprint = freshness.begin(name, with_settings, run)
    if name == "prepare":
        freshness.mark_corpus(with_settings, run)
    freshness.finish(name, fingerprint, with_settings, run, seconds=1.0)


def finish_with_examples(run: RunDir, examples: str) -> None:
    """Prepare, begun anew, has written these."""
    fingerprint = freshness.begin("prepare", settings(), run)
    run.examples.parent.mkdir(parents=True, exist_ok=True)
    run.examples.write_text(examples)
    freshness.mark_corpus(settings(), run)
    freshness.finish("prepare", fingerprint, settings(), run, seconds=1.0)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run whose every stage has finished."""
    run = RunDir(tmp_path)
    for name in stages.STAGES:
        finish(run, name, settings())
    return run


def fresh(run: RunDir, now: Settings) -> set[str]:
    return {name for name in stages.STAGES if freshness.is_fresh(name, now, run)}


def test_a_finished_run_is_fresh(run: RunDir) -> None:
    assert fresh(run, settings()) == set(stages.STAGES)


@pytest.mark.parametrize(
    ("section", "value", "still_fresh"),
    [
        ("data", {"path": "no-such-file", "limit": 5}, set()),
        ("train", {"epochs": 2.0}, {"prepare"}),
        ("factors", {"fisher": "empirical"}, EVALUATED - {"evaluate"}),
        (
            "scores",
            {"damping": 0.1},
            EVERY - {"scores", "evaluate", "index", "validate", "prove", "report"},
        ),
        ("inspect", {"colormap": "magma"}, EVERY - {"inspect", "report"}),
        ("benchmark", {"shots": 0}, EVERY - {"benchmark", "report"}),
        ("index", {"features": 64}, EVERY - {"index"}),
        ("validation", {"subsets": 4}, EVERY - {"validate", "report"}),
        ("generate", {"temperature": 0.5}, EVERY - {"generate", "evaluate", "report"}),
        ("run", {"device": "cpu", "threads": 1}, set(stages.STAGES)),
    ],
)
def test_a_changed_setting_makes_its_stage_and_those_after_it_stale(
    run: RunDir, section: str, value: dict[str, Any], still_fresh: set[str]
) -> None:
    assert fresh(run, settings(**{section: value})) == still_fresh


def test_running_a_stage_again_makes_those_after_it_stale(run: RunDir) -> None:
    finish(run, "factors", settings())
    assert fresh(run, settings()) == (EVALUATED - {"evaluate"}) | {"factors"}


def test_changed_prompts_make_stale_what_reads_prompts(run: RunDir) -> None:
    run.prompts.write_text('{"id": "new", "prompt": "p", "completion": "c"}\n')
    assert fresh(run, settings()) == OF_THE_CORPUS
    assert fresh(run, settings(data={"path": "no-such-file", "limit": 5})) == set()
    assert set(stages.STAGES) - stages.downstream("prepare", prompts_only=True) == OF_THE_CORPUS


def test_changed_settings_of_prompts_make_stale_what_reads_prompts(run: RunDir) -> None:
    assert fresh(run, settings(prompts={"use_generated": True})) == OF_THE_CORPUS
    reading = stages.stages_reading("prompts", "use_generated")
    assert set(stages.STAGES) - set(reading) == OF_THE_CORPUS


def test_a_run_of_old_learns_what_its_corpus_comes_from_when_it_prepares(run: RunDir) -> None:
    finish_with_examples(run, "the same bytes")
    mark = json.loads(run.corpus_mark.read_text())
    for name in list(stages.STAGES)[1:]:
        finish(run, name, settings())
    done = json.loads(run.done("prepare").read_text())
    run.done("prepare").write_text(json.dumps(done | {"corpus": mark["digest"]}))
    run.corpus_mark.unlink()
    assert fresh(run, settings()) == set(stages.STAGES)
    run.prompts.write_text("{}")
    assert fresh(run, settings()) == set()
    finish_with_examples(run, "the same bytes")
    assert fresh(run, settings()) == {"prepare", *OF_THE_CORPUS}


def test_a_prompt_that_does_not_fit_spoils_no_model(run: RunDir) -> None:
    run.prompts.write_text("{}")
    freshness.begin("prepare", settings(), run)  # and then it fails
    assert fresh(run, settings()) == OF_THE_CORPUS


def test_new_prompts_train_no_model_again_where_the_corpus_is_the_same(run: RunDir) -> None:
    run.prompts.write_text("{}")
    finish_with_examples(run, "the same bytes")
    for name in list(stages.STAGES)[1:]:
        finish(run, name, settings())
    run.prompts.write_text("{} {}")
    assert fresh(run, settings()) == OF_THE_CORPUS
    finish_with_examples(run, "the same bytes")
    assert fresh(run, settings()) == {"prepare", *OF_THE_CORPUS}
    finish_with_examples(run, "other bytes")
    assert fresh(run, settings()) == {"prepare"}


def test_the_corpus_s_folder_is_gone_through_once(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    real = file_marks.file_marks

    def counted(path: str) -> file_marks.Marks:
        looked.append(path)
        return real(path)

    monkeypatch.setattr(file_marks, "file_marks", counted)
    now = freshness.RunFreshness(settings(), run)
    assert all(now.is_fresh(name) for name in stages.STAGES)
    assert looked.count("no-such-file") == 1


def test_a_changed_source_file_makes_everything_stale(tmp_path: Path) -> None:
    source, run = tmp_path / "corpus.txt", RunDir(tmp_path / "run")
    source.write_text("one")
    now = Settings.model_validate({"data": {"path": str(source)}})
    finish(run, "prepare", now)
    assert freshness.is_fresh("prepare", now, run)
    source.write_text("another")
    assert not freshness.is_fresh("prepare", now, run)
    source.unlink()  # the run was copied to a machine without the corpus
    assert freshness.is_fresh("prepare", now, run)


def test_an_attempt_goes_on_from_what_the_same_attempt_left(run: RunDir) -> None:
    kept = run.factors("ekfac") / "part.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    freshness.begin("factors", settings(), run)
    assert kept.exists()
    assert not freshness.is_fresh("factors", settings(), run)


def test_another_attempt_never_meets_old_factors(run: RunDir) -> None:
    old = run.factors("ekfac") / "part.safetensors"
    old.parent.mkdir(parents=True)
    old.touch()
    freshness.begin("factors", settings(factors={"fisher": "empirical"}), run)
    assert not old.parent.exists()


def test_a_report_shows_whatever_is_up_to_date_and_needs_nothing_more(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    finish(run, "report", settings())
    assert freshness.is_fresh("report", settings(), run)
    finish(run, "prepare", settings())
    assert not freshness.is_fresh("report", settings(), run)


def test_names_and_groups_expand_in_pipeline_order() -> None:
    assert stages.expand(("scores", "train"), settings()) == ("train", "scores")
    named = "prepare train factors scores inspect generate evaluate report"
    assert stages.expand(("all",), settings()) == tuple(named.split())
    assert stages.expand(("report", "deepeval-eval"), settings()) == ("benchmark", "report")
    assert "report" not in stages.expand(("analysis",), settings())
    with pytest.raises(UsageError, match="no stage 'fit'; valid: all, analysis, "):
        stages.expand(("fit",), settings())


def test_a_model_without_a_base_is_compared_with_none_unless_somebody_insists(
    tmp_path: Path,
) -> None:
    def usual(**model: str) -> set[str]:
        chosen = settings(model={"trained": str(tmp_path), **model})
        return (
            EVERY - set(stages.usual_stages(chosen)) - {"benchmark", "index", "validate", "prove"}
        )

    assert usual() == {"generate", "evaluate"}
    assert usual(name="base") == set()
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base"}')
    assert usual() == set()
    alone = settings(model={"trained": "some/model"})
    assert stages.expand(("all", "evaluate"), alone)[-2:] == ("evaluate", "report")


def test_a_setting_makes_stale_what_reads_it_and_all_that_follows() -> None:
    assert stages.stages_reading("inspect", "colormap") == ("inspect", "report")
    assert stages.stages_reading("train", "epochs") == (
        "train",
        "factors",
        "scores",
        "inspect",
        "generate",
        "evaluate",
        "benchmark",
        "index",
        "validate",
        "prove",
        "report",
    )
    assert stages.stages_reading("run", "seed")[0] == "prepare"
    assert stages.stages_reading("run", "device") == ()


CHANGE_NO_RESULT = {
    "run.device",  # the same numbers but for rounding
    "run.threads",
    "run.workers",
    "index.candidates",  # how many are scored exactly is decided when a prompt is asked
    "index.added",  # its files are marked one by one: see `knows_its_files`
}


@pytest.mark.parametrize("trained", ["", "elsewhere"])
def test_every_other_setting_makes_a_stage_stale(trained: str) -> None:
    chosen = settings(model={"trained": trained, "recipe_known": bool(trained)})
    read = {name for stage in stages.STAGES for name in stages.settings_read(stage, chosen)}
    every = {
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        if section not in read
        for name in field.annotation.model_fields  # type: ignore[union-attr]
    }
    assert every - read == CHANGE_NO_RESULT


@pytest.mark.parametrize(
    ("section", "name", "other"),
    [("train", "processes", 2), ("train", "shard", True), ("data", "held_out", "/ids.json")],
)
def test_a_setting_that_came_later_makes_no_earlier_run_stale(
    run: RunDir, section: str, name: str, other: object
) -> None:
    later = {key for of, key, _ in freshness._LATER if of == section}
    assert name in later
    now = settings().model_dump(mode="json")[section]
    before = {key: value for key, value in now.items() if key not in later}
    digest = hashlib.sha256(json.dumps({section: before}, sort_keys=True).encode()).hexdigest()
    assert freshness.RunFreshness(settings(), run).digest((section,)) == digest
    changed = settings(**{section: {**now, name: other}})
    assert freshness.RunFreshness(changed, run).digest((section,)) != digest
