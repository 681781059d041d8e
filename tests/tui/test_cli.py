"""The verbs: stdout is data, stderr is narration, exit codes are stable."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.results.lookup import Corpus
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.score_file import ScoreFile, ScoreMetadata, write_scores
from pipeline.contract.results.scores import (
    KnownAnswers,
    ScoresSummary,
    write_scores_summary,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts
from pipeline.influence.ranking_table import save_rankings
from tests.tui import sample_run

Result = subprocess.CompletedProcess[str]
Headwater = Callable[..., Result]


@pytest.fixture
def headwater(tmp_path: Path) -> Headwater:
    """Runs `headwater …` in an empty folder, without a terminal."""

    def headwater(*arguments: str, **environment: str) -> Result:
        return subprocess.run(
            [sys.executable, "-m", "tui", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return headwater


def write_corpus(folder: Path, documents: int = 12) -> None:
    """A settings file, prompts and a local corpus that the prepare stage can read."""
    text = render_settings(profile("own-text"))
    text = text.replace('source = "model"', 'source = "train"').replace(
        'init = "pretrained"', 'init = "scratch"'
    )
    (folder / "settings.toml").write_text(text)
    (folder / "prompts").mkdir()
    (folder / "prompts/p.jsonl").write_text('{"id": "a", "prompt": "The", "completion": " sea"}\n')
    rows = [
        json.dumps({"text": f"Document {n} is about the sea and ship {n}."})
        for n in range(documents)
    ]
    (folder / "data").write_text("")
    (folder / "data").unlink()
    (folder / "data").mkdir()
    (folder / "data/corpus.jsonl").write_text("\n".join(rows))


def scored_run(folder: Path) -> RunDir:
    """A run whose stages up to scores are finished, with two ranked examples."""
    run = RunDir(folder / "runs/books")
    run.root.mkdir(parents=True)
    run.settings.write_text(render_settings(profile("demo")))
    settings = load_settings(run.settings)
    for name in ("prepare", "train", "factors", "scores"):
        fingerprint = freshness.begin(name, settings, run)
        freshness.finish(name, fingerprint, settings, run, seconds=1.0)
    prompt = Prompt(id="sea", prompt="At sea", completion=" a whale", relevant=("doc0",))
    save_prompts(run.prepared_prompts, [prompt])
    methods = {
        name: np.array([[3.0, 1.5]], np.float32) for name in ("ekfac_normalized", "ekfac", "bm25")
    }
    default = next(iter(methods))
    metadata = ScoreMetadata(
        ("sea",), tuple(methods), default, (), "ekfac", "heuristic", "sampled", {}, (), 2
    )
    write_scores(run, metadata, methods, {}, {"ekfac": np.array([4, 9], np.float32)})
    save_rankings(run, "scores", [prompt], _two_whales(), methods, top=2)
    known, errors = KnownAnswers(0, 1), GradientErrors(0.0, 0.0)
    summary = ScoresSummary(default, tuple(methods), 1, 2, (), known, {}, errors, (), {})
    write_scores_summary(run, summary)
    return run


def _two_whales() -> pa.Table:
    """Examples whose text has control characters and markup."""
    texts = ["A \x1b[31mred\x1b[0m [/b] whale"] * 2
    ids = ["doc0", "doc1"]
    return pa.table({
        "example_id": ids,
        "document_id": ids,
        "chunk": pa.array([0, 0], pa.int32()),
        "chunks": pa.array([1, 1], pa.int32()),
        "text": texts,
        "n_tokens": pa.array([7, 7], pa.int32()),
        "duplicate_group": pa.array([-1, -1], pa.int32()),
        "source": ["/far/away/whales.jsonl"] * 2,
        "row": pa.array([1, 2], pa.int64()),
    })  # fmt: skip


def test_init_writes_settings_and_prompts_and_never_over_them(
    headwater: Headwater, tmp_path: Path
) -> None:
    assert headwater("init", "--profile", "patents").returncode == 0
    assert load_settings(tmp_path / "settings.toml") == profile("patents")
    assert (tmp_path / "prompts/example.jsonl").exists()
    again = headwater("init")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_wrong_setting_ends_with_2_and_its_place(headwater: Headwater, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[data]\npath = "x"\n[train]\nepoch = 3\n')
    result = headwater("run", "all", "--settings", "settings.toml", "--run", "r")
    assert result.returncode == 2
    assert "settings.toml:4: unknown setting train.epoch; did you mean epochs?" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ("", "no prompts in"),
        ('{"id": "a", "prompt": "p", "completion": ""}', "has an empty completion"),
        ('{"id": "a", "prompt": "p", "completion": "c"}\n' * 2, "is taken already"),
    ],
)
def test_wrong_prompts_are_refused_before_any_work(
    headwater: Headwater, tmp_path: Path, prompts: str, message: str
) -> None:
    write_corpus(tmp_path)
    (tmp_path / "prompts/p.jsonl").write_text(prompts)
    result = headwater("run", "prepare", "--settings", "settings.toml", "--run", "r")
    assert (result.returncode, message in result.stderr) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_a_missing_data_path_is_refused_before_any_work(
    headwater: Headwater, tmp_path: Path
) -> None:
    write_corpus(tmp_path)
    (tmp_path / "data/corpus.jsonl").unlink()
    (tmp_path / "data").rmdir()
    result = headwater("run", "prepare", "--settings", "settings.toml", "--run", "r")
    assert result.returncode == 2
    assert "there is no file or folder" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "fit", "--run", "r"), "there is no stage 'fit'; valid: all, analysis, "),
        (("status", "none"), "there is no run 'none'"),
        (("rank", "none"), "there is no run 'none'"),
        (("run", "train"), "name the run with --run, or give --settings"),
        (("run", "train", "--run", "../x"), "run name '../x'"),
        (("tui",), "the dashboard needs a terminal"),
        ((), "the dashboard needs a terminal"),
        (("init", "--profile", "books"), "'books' is not one of"),
    ],
)
def test_a_command_that_makes_no_sense_ends_with_2(
    headwater: Headwater, arguments: tuple[str, ...], message: str
) -> None:
    result = headwater(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_stage_runs_to_its_end_and_is_not_run_again(headwater: Headwater, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    first = headwater("run", "prepare", "--settings", "settings.toml", "--run", "r")
    assert (first.returncode, first.stdout) == (0, "")
    assert "prepare: done in" in first.stderr
    again = headwater("run", "prepare", "--run", "r")
    assert (again.returncode, again.stderr) == (0, "up to date: prepare\n")
    forced = headwater("run", "prepare", "--run", "r", "--force")
    assert "prepare: done in" in forced.stderr
    told = json.loads(headwater("status", "r", "--json").stdout)
    assert told["stages"][0]["state"] == "done"
    assert told["stages"][1]["state"] == "waiting"
    assert "r    prepare  done" in headwater("runs").stdout


def test_a_run_named_after_its_settings_folder_is_the_run_and_not_that_folder(
    headwater: Headwater, tmp_path: Path
) -> None:
    (tmp_path / "books").mkdir()
    write_corpus(tmp_path / "books")
    assert headwater("status", "books").returncode == 2  # nothing has run yet
    assert headwater("run", "prepare", "--settings", "books/settings.toml").returncode == 0
    for name in ("books", "runs/books", str(tmp_path / "runs/books")):
        first = headwater("status", name).stdout.splitlines()[1]
        assert first.split()[:2] == ["prepare", "done"]


def test_a_folder_outside_the_runs_is_named_with_a_slash(
    headwater: Headwater, tmp_path: Path
) -> None:
    scored_run(tmp_path).root.rename(tmp_path / "copied")
    assert headwater("status", "./copied").returncode == 0
    refused = headwater("status", "copied")
    assert refused.returncode == 2
    assert "./copied" in refused.stderr


def test_a_stage_without_its_input_fails_with_1_and_says_what_to_run(
    headwater: Headwater, tmp_path: Path
) -> None:
    write_corpus(tmp_path)
    result = headwater("run", "train", "--settings", "settings.toml", "--run", "r")
    assert result.returncode == 1
    assert "train needs prepare" in result.stderr
    assert "headwater run prepare train --run r" in result.stderr


def test_an_unreachable_hub_ends_with_3(headwater: Headwater, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    settings = render_settings(profile("openwebtext"))
    for old, new in (('source = "model"', 'source = "train"'), ('"pretrained"', '"scratch"')):
        settings = settings.replace(old, new)  # so that only the data set is the hub's
    (tmp_path / "settings.toml").write_text(settings)
    result = headwater(
        "run", "prepare", "--settings", "settings.toml", "--run", "r", HF_HUB_OFFLINE="1"
    )
    assert result.returncode == 3
    assert 'data.source = "local"' in result.stderr


def wait_for_progress(events: Path) -> None:
    deadline = time.monotonic() + 120
    while not events.exists() or '"progress"' not in events.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _hears_ctrl_c() -> None:
    """As in a terminal, also where the tests run in a shell's background and so do not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_stops_the_stage_and_ends_with_130(tmp_path: Path) -> None:
    write_corpus(tmp_path, documents=200_000)
    command = [sys.executable, "-m", "tui", "run", "prepare", "--settings", "settings.toml"]
    process = subprocess.Popen(
        [*command, "--run", "r"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hears_ctrl_c,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("prepare: read, clean")
    wait_for_progress(tmp_path / "runs/r/events.jsonl")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopping" in told


def test_use_generated_changes_the_run_and_takes_prompts_without_completions(
    headwater: Headwater, tmp_path: Path
) -> None:
    write_corpus(tmp_path)
    (tmp_path / "prompts/p.jsonl").write_text('{"id": "a", "prompt": "The"}\n')
    asked = ("run", "prepare", "--settings", "settings.toml", "--run", "r")
    assert "empty completion" in headwater(*asked).stderr
    assert headwater(*asked, "--use-generated").returncode == 0
    settings = tmp_path / "runs/r/settings.toml"
    assert load_settings(settings).prompts.use_generated
    settings.write_text(
        settings.read_text().replace("use_generated = true", "use_generated = false")
    )
    headwater("run", "prepare", "--run", "r", "--use-generated")
    assert load_settings(settings).prompts.use_generated


def test_rank_prints_json_csv_and_text_without_control_characters(
    headwater: Headwater, tmp_path: Path
) -> None:
    scored_run(tmp_path)
    rows = json.loads(headwater("rank", "books", "--prompt", "sea", "--top", "1", "--json").stdout)
    assert [(row["example_id"], row["method"], row["end"]) for row in rows] == [
        ("doc0", "ekfac_normalized", "top")
    ]
    table = csv.DictReader(io.StringIO(headwater("rank", "books", "--bottom", "--csv").stdout))
    assert [row["rank"] for row in table] == ["1", "2"]
    text = headwater("rank", "books", "--method", "bm25").stdout
    assert "doc0 ★  (7 tokens, whales.jsonl row 1)" in text
    assert "\x1b" not in text


def test_rank_ranks_a_set_of_prompts(headwater: Headwater, tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path / "runs")
    first, *others = read_prompts(run)
    alone = first.model_copy(update={"set": "one"})
    rest = [prompt.model_copy(update={"set": "rest"}) for prompt in others]
    save_prompts(run.prepared_prompts, [alone, *rest])
    text = headwater("rank", run.name, "--set", "rest").stdout
    assert text.startswith(
        f"set rest · ekfac_normalized · top\n({len(rest)} prompts weighted alike"
    )
    of_set = json.loads(headwater("rank", run.name, "--set", "one", "--json").stdout)
    assert {row["prompt_id"] for row in of_set} == {"Σ one"}
    scores = ScoreFile(run).scores(0, "ekfac_normalized")
    ids = Corpus(run).ids()
    expected = [ids[position] for position in highest_first(scores)[: len(of_set)]]
    assert [row["example_id"] for row in of_set] == expected
    assert "valid: one, rest" in headwater("rank", run.name, "--set", "fire").stderr
    both = headwater("rank", run.name, "--set", "one", "--prompt", first.id)
    assert "--set stands alone" in both.stderr


def test_rank_says_how_far_a_ranking_follows_what_says_nothing_of_its_prompt(
    headwater: Headwater, tmp_path: Path
) -> None:
    scored_run(tmp_path)
    size = "agreement with gradient size alone: rank correlation -1.00, 0 of the first 0"
    assert size in headwater("rank", "books", "--prompt", "sea").stdout
    assert size not in headwater("rank", "books").stdout  # of all prompts, ranked
    found = json.loads(headwater("rank", "books", "--prompt", "sea", "--controls", "--json").stdout)
    assert found["size"] == {"correlation": pytest.approx(-1), "shared": 0, "first": 0}
    assert found["other"] is None  # there is no other prompt
    refused = headwater("rank", "books", "--controls")
    assert refused.returncode == 2
    assert "--controls is of one prompt" in refused.stderr


def test_rank_names_the_prompts_and_methods_there_are(headwater: Headwater, tmp_path: Path) -> None:
    scored_run(tmp_path)
    assert "no prompt 'x'; valid: sea" in headwater("rank", "books", "--prompt", "x").stderr
    told = headwater("rank", "books", "--method", "x").stderr
    assert "valid: ekfac_normalized, ekfac, bm25" in told


def test_stale_scores_are_never_shown_as_current(headwater: Headwater, tmp_path: Path) -> None:
    run = scored_run(tmp_path)
    run.settings.write_text(
        run.settings.read_text().replace("normalize = true", "normalize = false")
    )
    result = headwater("rank", "books")
    assert (result.returncode, result.stdout) == (1, "")
    assert "out of date" in result.stderr


def test_doctor_names_every_part_of_the_machine(headwater: Headwater) -> None:
    found = json.loads(headwater("doctor", "--json", HF_HUB_OFFLINE="1").stdout)
    assert [check["name"] for check in found] == [
        "python",
        "packages",
        "driver",
        "torch",
        "disk",
        "memory",
        "hub",
        "sandbox",
        "slurm",
        "terminal",
        "process",
    ]
    assert all(check["advice"] for check in found if check["level"] != "ok")


WITHOUT_LANDLOCK = """
import ctypes, os, struct, sys
steps = b"".join(struct.pack("=HBBI", *step) for step in (
    (0x20, 0, 0, 0),  # the number of the system call
    (0x15, 0, 1, 444),  # landlock_create_ruleset
    (0x06, 0, 0, 0x00050001),  # is refused
    (0x06, 0, 0, 0x7FFF0000),  # and any other is not
))
held = ctypes.create_string_buffer(steps, len(steps))
program = struct.pack("HxxxxxxQ", len(steps) // 8, ctypes.addressof(held))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == libc.prctl(22, 2, program, 0, 0) == 0
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_doctor_says_where_code_that_models_write_cannot_be_confined(tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")  # as where namespaces are refused
    (tmp_path / "bwrap").chmod(0o755)
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_LANDLOCK, "-m", "tui", "doctor", "--json"],
        env={**os.environ, "PATH": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        check=False,
    )
    (sandbox,) = [check for check in json.loads(told.stdout) if check["name"] == "sandbox"]
    assert sandbox["level"] == "warn"
    assert "humaneval is refused" in sandbox["finding"]
    assert "install bubblewrap" in sandbox["advice"]
