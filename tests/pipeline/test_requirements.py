"""What a later stage needs from outside is looked for before the first one works."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.events import Started
from pipeline.contract.run.processes import ProcessIdentity, SupervisorState
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.evaluation.sandbox import usable_wall
from pipeline.requirements import require_all
from tests.pipeline.influence.architectures import config_of
from tests.small_models import save_folder, small_llama

ALL = ("prepare", "train", "factors", "benchmark", "index", "validate", "report")


def supervised(folder: Path, *stages: str) -> RunDir:
    run = RunDir(folder)
    me = ProcessIdentity.of(os.getpid())
    SupervisorState(me, stages, "token", began=time.time()).write(run)
    return run


def settings(**sections: Any) -> Settings:
    scratch = {"init": "scratch", "preset": "nano"}
    given = {"data": {"source": "demo"}, "tokenizer": {"source": "train"}, "model": scratch}
    return Settings.model_validate({**given, **sections})


def test_every_fault_of_every_stage_is_told_at_once(tmp_path: Path) -> None:
    run = supervised(tmp_path, *ALL)
    asked = settings(
        benchmark={"chosen": ["boolq", "arc"], "data": str(tmp_path / "rows")},
        index={"added": [str(tmp_path / "notes.txt")]},
        validation={"outside": [str(tmp_path / "theirs.npy")]},
    )
    with pytest.raises(HeadwaterError) as told:
        require_all("prepare", asked, run, [])
    for missing in ("there is no folder", "notes.txt", "theirs.npy"):
        assert missing in told.value.message


@pytest.mark.parametrize("source", ["train", "model"])
def test_a_chat_template_that_benchmarks_need_is_looked_for(tmp_path: Path, source: str) -> None:
    run = supervised(tmp_path / "run", *ALL)
    model = str(save_folder(small_llama(), tmp_path / "model"))
    asked: dict[str, Any] = {"benchmark": {"chat_template": True, "data": str(tmp_path)}}
    if source == "model":
        asked |= {"tokenizer": {"source": "model"}, "model": {"init": "pretrained", "name": model}}
    needs = "benchmark.chat_template = true needs a chat template"
    with pytest.raises(HeadwaterError) as told:
        require_all("prepare", settings(**asked), run, [])
    assert needs in told.value.message
    asked["data"] = {"source": "demo", "chat_template": "zephyr"}
    with pytest.raises(HeadwaterError) as told:  # there are no rows of benchmarks either
        require_all("prepare", settings(**asked), run, [])
    assert needs not in told.value.message


def test_code_that_could_not_be_confined_is_refused_before_the_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.evaluation.sandbox.WALLS", {})
    usable_wall.cache_clear()
    run = supervised(tmp_path, *ALL)
    asked = settings(benchmark={"chosen": ["humaneval"], "run_code": True, "data": str(tmp_path)})
    with pytest.raises(HeadwaterError, match="nothing on this machine can confine it"):
        require_all("prepare", asked, run, [])


def test_only_stages_that_were_asked_for_are_looked_after(tmp_path: Path) -> None:
    run = supervised(tmp_path, "prepare", "train", "report")
    require_all("prepare", settings(benchmark={"data": str(tmp_path / "rows")}), run, [])


def test_a_model_that_does_not_exist_is_told_before_the_reading(tmp_path: Path) -> None:
    run = supervised(tmp_path, "prepare", "train")
    absent = {"init": "pretrained", "name": str(tmp_path / "absent")}
    with pytest.raises(HeadwaterError, match=r"model\.name: there is no folder"):
        require_all("prepare", settings(model=absent), run, [])


def test_a_model_trained_elsewhere_needs_no_base(tmp_path: Path) -> None:
    run = supervised(tmp_path / "run", "prepare", "train", "factors")
    theirs = {"trained": str(save_folder(small_llama(), tmp_path / "theirs"))}
    require_all("prepare", settings(model=theirs), run, [])
    AutoConfig.for_model("bert").save_pretrained(tmp_path / "encoder")
    encoder = {"name": str(tmp_path / "encoder")}
    with pytest.raises(HeadwaterError, match=r"model\.name: .* is an encoder"):
        require_all("prepare", settings(model=theirs | encoder), run, [])


@pytest.mark.parametrize(
    ("kind", "sections", "count"),
    [
        ("mixtral", {}, 2 * 4 * 2),  # layers, experts, matrices of each
        ("gpt2", {}, 2 * 2),
        ("llama", {"lora": {"rank": 2}}, 2 * 3 * 2),  # layers, projections, matrices of each
    ],
)
def test_the_factors_of_all_kinds_of_modules_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, sections: Any, count: int
) -> None:
    config_of(kind).save_pretrained(tmp_path / "model")
    run = supervised(tmp_path / "run", "prepare", "train", "factors")
    asked = settings(model={"name": str(tmp_path / "model")}, **sections)
    require_all("prepare", asked, run, [])
    counted: list[int] = []

    def curvature_bytes(shapes: list[tuple[int, int]], _strategy: str) -> int:
        counted.append(len(shapes))
        return 0

    monkeypatch.setattr("pipeline.influence.arguments.curvature_bytes", curvature_bytes)
    require_all("prepare", asked, run, [])
    assert set(counted) == {count}


def test_factors_that_the_disk_cannot_hold_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = supervised(tmp_path, "prepare", "train", "factors")
    large = settings(model={"init": "scratch", "preset": "tinyllama-1.1b"})
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 20 << 30}))
    require_all("prepare", settings(), run, [])
    with pytest.raises(HeadwaterError, match=r"the factors will take \d+ GiB, .* has 20 GiB free"):
        require_all("prepare", large, run, [])


def test_it_is_looked_once_not_before_every_stage(tmp_path: Path) -> None:
    run = supervised(tmp_path, *ALL)
    asked = settings(benchmark={"data": str(tmp_path / "rows")})
    require_all("train", asked, run, [Started("prepare", time.time() + 1, 1)])
    with pytest.raises(HeadwaterError):
        require_all("train", asked, run, [Started("prepare", time.time() - 99, 1)])
