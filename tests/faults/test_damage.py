"""Every file of a finished run, damaged in every way: found, named, never read as if it were whole,
and put away so that the run comes out the same again."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.contract.damage.verify import FOREIGN, verify_run, verify_stage
from pipeline.contract.errors import DamagedResultError, HeadwaterError, MissingResultError
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.written import require_whole
from pipeline.contract.run.checksums import written_files
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.processes import acquire_lock
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.settings.loading import load_settings
from tests.faults.damage import (
    EXCHANGE,
    WAYS,
    copied,
    damaged,
    flip_bit,
    results_of,
    stage_files,
)
from tests.seam_readers import READERS
from tui.cli import main

ALL_WAYS = (*WAYS, EXCHANGE)


@pytest.fixture
def run(finished_run: RunDir, tmp_path: Path) -> RunDir:
    return copied(finished_run, tmp_path / "runs" / "one")


@pytest.fixture
def rng() -> random.Random:
    return random.Random(0)


def verb(run: RunDir, *words: str) -> Result:
    ended = CliRunner().invoke(main, ["--runs", str(run.root.parent), *words])
    assert isinstance(ended.exception, SystemExit | None), ended.exception
    return ended


def others(run: RunDir, other: RunDir, path: Path) -> Path | None:
    """The other run's file of the same name, where it has one that differs."""
    theirs = other.root / path.relative_to(run.root)
    differs = theirs.is_file() and theirs.read_bytes() != path.read_bytes()
    return theirs if differs else None


def damages(run: RunDir, other: RunDir, path: Path) -> Iterator[tuple[str, Path | None]]:
    """Every way in which the file can be damaged, with what is exchanged for it."""
    theirs = others(run, other, path)
    yield from ((way, theirs) for way in ALL_WAYS if way != EXCHANGE or theirs)


def test_a_run_that_nothing_happened_to_is_whole(run: RunDir) -> None:
    found = verify_run(run)
    assert found.faults == ()
    assert [check.stage for check in found.stages] == list(STAGES)
    assert {check.by for check in found.stages} == {"checksums"}
    for stage in STAGES:
        require_whole(run, stage)


def test_every_file_is_covered(run: RunDir) -> None:
    known = {path for _, path in stage_files(run)}
    own = {run.settings, run.prompts, run.events, run.retrainings, run.claim, run.proofs}
    outside = {*(run.root / "benchmarks").rglob("*"), *run.verbatim(run.examples).rglob("*")}
    files = {path for path in run.root.rglob("*") if path.is_file()}
    assert files == known | own | {path for path in outside if path.is_file()}


def test_what_a_killed_attempt_left_hidden_is_nobodys(run: RunDir) -> None:
    left = run.stage("train") / ".rehearsal" / "influence"
    left.mkdir(parents=True)
    (left / "x.json").touch()
    assert left / "x.json" not in written_files("train", run)


@pytest.mark.parametrize("stage", STAGES)
def test_every_damaged_file_is_named(
    run: RunDir, scored_run: RunDir, rng: random.Random, stage: str
) -> None:
    for path in [path for name, path in stage_files(run) if name == stage]:
        for way, theirs in damages(run, scored_run, path):
            with damaged(path, way, rng, theirs):
                check = verify_stage(run, stage)
                assert check, (path, way)
                named = {fault.file: fault.stage for fault in check.faults}
                assert named.pop(str(path.relative_to(run.root)), "") == stage, (path, way)
                together = {fault.file for fault in check.faults if fault.what == FOREIGN}
                assert set(named) <= together, "and no other"


def test_damage_in_the_midst_of_a_large_file_is_found(run: RunDir) -> None:
    path = run.model / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 + 20_000] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert [fault.file for fault in verify_run(run).faults] == ["train/model/model.safetensors"]


@pytest.mark.parametrize("name", ["events.jsonl", "retrainings.jsonl"])
@pytest.mark.parametrize("way", WAYS)
def test_what_stages_append_to_is_checked_as_far_as_it_went(
    run: RunDir, rng: random.Random, name: str, way: str
) -> None:
    path = run.root / name
    grown = path.read_bytes() + b"\n{}\n"
    path.unlink()
    path.write_bytes(grown)
    assert verify_run(run).faults == (), "it may grow"
    path.write_bytes(grown[: -len(b"\n{}\n")])
    with damaged(path, way, rng):
        assert [fault.file for fault in verify_run(run).faults] == [name]


@pytest.mark.parametrize("name", ["settings.toml", "prompts.jsonl"])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_person_writes_is_told_where_it_cannot_be_read(
    run: RunDir, rng: random.Random, name: str, way: str
) -> None:
    for _ in range(5):
        with damaged(run.root / name, way, rng):
            named = [fault.file for fault in verify_run(run).faults]
            assert named in ([], [name])
            if name == "prompts.jsonl" and not named:
                stale = RunFreshness(load_settings(run.settings), run)
                assert not stale.is_fresh("scores"), "a ranking is of the prompts that were run"


@pytest.mark.parametrize("name", READERS)
def test_no_reader_takes_a_damaged_file_for_whole(
    run: RunDir, scored_run: RunDir, rng: random.Random, name: str
) -> None:
    reader = READERS[name]
    for path in reader.files(run):
        for way, theirs in damages(run, scored_run, path):
            with damaged(path, way, rng, theirs):
                try:
                    found = reader.read(run)
                except (DamagedResultError, MissingResultError):
                    continue
                # JSON Lines to which is appended are read as far as they are whole
                assert name in (
                    "benchmark_questions.AnswerStore",
                    "proofs.load_proofs",
                    "proofs.read_proofs",
                    "validation.read_retrainings",
                )
                assert len(found) <= len(reader.read(RunDir(run.root)))


def test_scores_of_another_run_with_the_same_prompts_are_not_shown(
    run: RunDir, scored_run: RunDir
) -> None:
    exchanged = damaged(run.scores, EXCHANGE, random.Random(0), scored_run.scores)
    with exchanged, pytest.raises(DamagedResultError, match=r"scores\.safetensors is damaged"):
        ScoreFile(run)
    assert ScoreFile(run)


def test_a_ranking_is_the_right_one_or_none(
    run: RunDir, scored_run: RunDir, rng: random.Random
) -> None:
    right = verb(run, "rank", "one", "--json")
    assert right.exit_code == 0
    assert json.loads(right.output)
    for stage, path in stage_files(run):
        if stage in ("prepare", "scores") and run.root / "influence" not in path.parents:
            for way, theirs in damages(run, scored_run, path):
                with damaged(path, way, rng, theirs):
                    told = verb(run, "rank", "one", "--json")
                assert told.exit_code or told.output == right.output, (path, way)
                assert not told.exit_code or "headwater: " in told.stderr, (path, way)


def test_no_stage_works_on_a_model_or_a_corpus_that_was_exchanged(
    run: RunDir, scored_run: RunDir, rng: random.Random
) -> None:
    for path in (run.model / "model.safetensors", run.examples):
        stage = path.relative_to(run.root).parts[0]
        theirs = others(run, scored_run, path)
        for way in (*WAYS, *([EXCHANGE] if theirs else [])):
            if way == "flip_bit" and path.stat().st_size > 1 << 18:
                continue  # between the blocks that are read only `verify` finds it
            with damaged(path, way, rng, theirs), pytest.raises(HeadwaterError):
                require_whole(run, stage)
    run.checkpoints.rename(run.root / "deleted")  # a person may free the disk
    require_whole(run, "train")


def test_a_run_of_an_earlier_version_is_checked_by_form_and_that_is_said(
    run: RunDir, rng: random.Random
) -> None:
    for stage in STAGES:
        done = json.loads(run.done(stage).read_text())
        del done["checksums"]
        run.done(stage).unlink()
        run.done(stage).write_text(json.dumps(done))
        run.checksums(stage).unlink()
    told = verb(run, "verify", "one")
    assert told.exit_code == 0
    assert "only the form can be checked" in told.output
    readable = (".json", ".parquet", ".safetensors", ".npy")
    for stage, path in stage_files(run):
        if path.suffix in readable and path.name not in ("done.json", "files.json"):
            with damaged(path, "empty", rng):
                for content in (b"", path.with_name(f".kept-{path.name}").read_bytes()[:-3]):
                    path.write_bytes(content)
                    check = verify_stage(run, stage)
                    assert check
                    assert [one.file for one in check.faults] == [str(path.relative_to(run.root))]


def test_verify_says_what_is_wrong_and_what_to_do(run: RunDir, rng: random.Random) -> None:
    with damaged(run.scores, "cut", rng):
        told = verb(run, "verify", "one")
        assert told.exit_code == 1
        assert "scores/scores.safetensors: it has " in told.stdout
        assert "(scores wrote it)" in told.stdout
        assert "`headwater repair one`" in told.stdout
        as_json = verb(run, "verify", "one", "--json")
        [fault] = json.loads(as_json.stdout)["damaged"]
        assert (fault["file"], fault["stage"]) == ("scores/scores.safetensors", "scores")


def test_nothing_is_repaired_where_something_works(run: RunDir, rng: random.Random) -> None:
    lock = acquire_lock(run)
    with damaged(run.scores, "cut", rng):
        assert verb(run, "repair", "one").exit_code == 3
        assert run.scores.exists()
    os.close(lock)


def test_what_was_damaged_is_put_away_and_comes_out_the_same_again(
    run: RunDir, rng: random.Random
) -> None:
    from pipeline.stages import (
        benchmark,
        evaluate,
        factors,
        generate,
        index,
        inspect,
        report,
        scores,
        train,
    )
    from tests.small_runs import run_here

    before = results_of(run)
    hit = [
        run.summary("train"),
        run.checkpoints / "checkpoint-6" / "optimizer.pt",
        run.module_scores("ekfac"),
        run.module_table,
        run.generated_answers,
        run.benchmark_answers("boolq", "base"),
        run.features / "chunk_00000.npy",
        run.report_markdown,
    ]
    for path in hit:
        kept = path.read_bytes()
        path.unlink()
        path.write_bytes(kept)
        flip_bit(path, rng)
    told = verb(run, "repair", "one")
    assert told.exit_code == 0
    again = told.stdout.split()
    assert again[:2] == ["headwater", "run"]
    assert again[-2:] == ["--run", "one"]
    assert {"train", "scores", "inspect", "generate", "benchmark", "index", "report"} <= {*again}
    [folder] = run.damaged.iterdir()
    for path in hit:
        assert not path.exists()
        assert (folder / path.relative_to(run.root)).exists(), "nothing is deleted"
    assert {fault.file for fault in verify_run(run).faults} == set()
    run_here(run, train, factors, scores, inspect, generate, evaluate, benchmark, index, report)
    assert results_of(run) == before
