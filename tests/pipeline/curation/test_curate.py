"""Training data are sorted row by row, in the columns of the source, whole or not at all."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.contract.errors import DataError, HeadwaterError, MissingResultError, UsageError
from pipeline.contract.files import read_json, write_text
from pipeline.contract.results.curation import REASON, Curation, CurationRequest, curation_of
from pipeline.contract.results.examples import documents_of, read_document_ids, read_examples
from pipeline.contract.run.new_run import (
    change_settings,
    clone_onto,
    refuse_clone_onto,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.curation.curate import curate
from pipeline.stages import prepare
from tests.small_curation import ROWS, save_jsonl, save_scores, scored_run
from tests.small_runs import run_here
from tui.cli import main


def save_array(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "data.json"
    write_text(path, json.dumps(rows))
    return path


def save_parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "data.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def save_csv(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


Save = Callable[[Path, list[dict[str, Any]]], Path]


def request(run: RunDir, **asked: Any) -> CurationRequest:
    return CurationRequest(
        run_folder=str(run.root), out=str(run.root.parent.parent / "out"), **asked
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [str(row["name"]) for row in rows]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return scored_run(tmp_path, save_jsonl(tmp_path, ROWS))


@pytest.mark.parametrize("save", [save_jsonl, save_array, save_parquet])
def test_both_parts_together_are_the_source_in_its_own_columns(tmp_path: Path, save: Save) -> None:
    made = curate(request(scored_run(tmp_path, save(tmp_path, ROWS)), of_set="asked", drop=4))
    kept, dropped = lines(made.kept_file), lines(made.dropped_file)
    assert [row for row in ROWS if row in kept] == kept, "in the source's order"
    without = [{key: cell for key, cell in row.items() if key != REASON} for row in dropped]
    assert sorted(names(kept + without)) == sorted(names(ROWS))
    assert all(row in ROWS for row in without)
    assert (made.rows, made.kept, made.dropped) == (30, 26, 4)


def test_cells_of_a_csv_are_the_texts_that_stand_in_it(tmp_path: Path) -> None:
    rows = [{**row, "more": f"a,{n}"} for n, row in enumerate(ROWS)]
    made = curate(request(scored_run(tmp_path, save_csv(tmp_path, rows)), of_set="asked", drop=1))
    assert lines(made.kept_file) == [row for row in rows if row in lines(made.kept_file)]
    assert len(lines(made.kept_file)) == 29


def test_texts_are_rows_of_their_own(tmp_path: Path) -> None:
    for row in ROWS:
        write_text(tmp_path / "texts" / f"{row['name']}.txt", str(row["body"]))
    made = curate(request(scored_run(tmp_path, tmp_path / "texts"), of_set="asked", drop=2))
    kept = {row["body"] for row in lines(made.kept_file)}
    assert kept < {row["body"] for row in ROWS}
    assert len(kept) == 28


def test_those_with_most_influence_go_and_each_says_why(run: RunDir) -> None:
    made = curate(request(run, prompts=("alone",), drop=3, method="bm25"))
    from pipeline.contract.results.score_file import ScoreFile

    scores = ScoreFile(run).scores(2, "bm25")
    best = np.argsort(-scores)[:3]
    names = documents_of(read_examples(run))
    dropped = lines(made.dropped_file)
    assert [row["name"] for row in dropped] == [names[place] for place in best]
    assert [row[REASON]["rank"] for row in dropped] == [1, 2, 3]
    told = dropped[0][REASON]
    assert told["because"] == f"rank 1 of {len(names)} for prompt alone by bm25"
    assert told["prompt"] == "alone"
    assert told["score"] == pytest.approx(float(scores[best[0]]), rel=1e-6)


def test_the_prompt_that_a_row_has_most_influence_on_is_named(run: RunDir) -> None:
    made = curate(request(run, of_set="asked", drop=5))
    from pipeline.contract.results.score_file import ScoreFile

    file, names = ScoreFile(run), documents_of(read_examples(run))
    scaled = [row / np.sqrt(np.mean(row**2)) for row in file.method("ekfac")[:2].astype(np.float64)]
    for row in lines(made.dropped_file):
        place = names.index(row["name"])
        nearest = "good" if scaled[0][place] > scaled[1][place] else "other"
        assert row[REASON]["prompt"] == nearest


def test_a_share_is_kept_of_the_rows_trained_on_and_all_that_were_held_out(run: RunDir) -> None:
    made = curate(request(run, of_set="asked", keep=0.25))
    trained = read_examples(run).num_rows
    assert made.trained == trained < 30
    assert made.dropped == trained - -(-trained // 4)
    assert {row["name"] for row in ROWS} - set(documents_of(read_examples(run))) <= {
        row["name"] for row in lines(made.kept_file)
    }
    assert "below the best 25%" in lines(made.dropped_file)[0][REASON]["because"]


def test_a_document_of_several_chunks_goes_as_a_whole(tmp_path: Path) -> None:
    rows = [{"body": str(row["body"]) * 4, "name": row["name"]} for row in ROWS]
    run = scored_run(tmp_path, save_jsonl(tmp_path, rows), max_tokens=16)
    examples = documents_of(read_examples(run))
    assert len(examples) > 2 * len(set(examples))
    made = curate(request(run, of_set="asked", drop=2))
    assert made.trained == len(set(examples))
    assert len({row["name"] for row in lines(made.dropped_file)}) == 2
    assert len(lines(made.kept_file)) == 28


@pytest.fixture
def twins(tmp_path: Path) -> RunDir:
    """A run with near-duplicates, of which the first that was trained on has the highest score."""
    body = "The miller of the village grinds the corn of all the farms around, day after day."
    rows = [{"body": f"{body} {'x' * n}", "name": f"twin{n}"} for n in range(4)]
    run = scored_run(tmp_path, save_jsonl(tmp_path, [*ROWS, *rows]))
    assert len(trained_twins(run)) > 1
    first = documents_of(read_examples(run)).index(trained_twins(run)[0])
    save_scores(run, highest=first)
    return run


def trained_twins(run: RunDir) -> list[str]:
    return [name for name in documents_of(read_examples(run)) if name.startswith("twin")]


def test_near_duplicates_of_what_goes_are_offered(twins: RunDir) -> None:
    made = curate(request(twins, of_set="asked", drop=1))
    first, *others = trained_twins(twins)
    assert [row["name"] for row in lines(made.dropped_file)] == [first]
    assert [row["name"] for row in lines(made.near_duplicates_file)] == others
    assert made.near_duplicates == len(others)
    assert {row["name"] for row in lines(made.kept_file)} >= set(others)


def test_near_duplicates_of_what_goes_may_go_too(twins: RunDir) -> None:
    made = curate(request(twins, of_set="asked", drop=1, near_duplicates=True))
    first, *others = trained_twins(twins)
    dropped = lines(made.dropped_file)
    assert {row["name"] for row in dropped} == {first, *others}
    because = f"a near-duplicate of {first}, rank 1 for the prompts of set asked by ekfac"
    assert {row[REASON]["because"] for row in dropped[1:]} == {because}
    assert len({row[REASON]["group"] for row in dropped}) == 1
    assert not made.near_duplicates_file.exists()


def test_something_has_to_stay(run: RunDir) -> None:
    with pytest.raises(UsageError, match="nothing would stay of the"):
        curate(request(run, of_set="asked", drop=read_examples(run).num_rows))


def test_the_record_says_how_the_parts_came_about(run: RunDir) -> None:
    made = curate(request(run, of_set="asked", drop=2))
    assert curation_of(read_json(made.record_file)) == made
    assert made == Curation(
        run_name="small", ranked_for="the prompts of set asked", prompts=("good", "other"),
        left_out=(),
        method="ekfac", rows=30, unreadable=0, trained=read_examples(run).num_rows,
        kept=28, dropped=2,
        near_duplicates=0, out=str(run.root.parent.parent / "out"),
    )  # fmt: skip
    assert asdict(made)["rows"] == 30


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"of_set": "nothing"}, "there is no set 'nothing'; valid: asked"),
        ({"prompts": ("alone", "new")}, "has not scored prompt new"),
        ({"of_set": "asked", "method": "guess"}, "no method 'guess'; valid: ekfac, bm25"),
        ({"prompts": ("alone",), "method": "guess"}, "no method 'guess'; valid: ekfac, bm25"),
        ({"of_set": "asked", "drop": 1000}, "1,000 rows cannot be dropped"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_written(
    run: RunDir, asked: dict[str, Any], told: str
) -> None:
    wanted = request(run, **{"drop": 1, **asked})
    with pytest.raises(HeadwaterError, match=told):
        curate(wanted)
    assert not Path(wanted.out).exists()
    assert not list(Path(wanted.out).parent.glob(".out.*"))


def test_a_folder_that_is_there_or_among_the_data_is_refused(tmp_path: Path) -> None:
    save_jsonl(tmp_path / "data", ROWS)
    run = scored_run(tmp_path, tmp_path / "data")
    wanted = request(run, of_set="asked", drop=1)
    with pytest.raises(UsageError, match="lies in the folder of the training data"):
        curate(replace(wanted, out=str(tmp_path / "data" / "clean")))
    Path(wanted.out).mkdir()
    with pytest.raises(UsageError, match="there is something at"):
        curate(wanted)


def test_scores_of_other_settings_or_of_other_data_are_refused(run: RunDir) -> None:
    data = Path(load_settings(run.settings).data.path)
    before = data.read_text()
    write_text(data, before.replace("Row 3 ", "Row 4 "))
    with pytest.raises(MissingResultError, match="the scores of run small are stale"):
        curate(request(run, of_set="asked", drop=1))


def test_a_cell_that_json_has_not_ends_it_whole(tmp_path: Path) -> None:
    rows = [{**row, "more": b"\xff\x00"} for row in ROWS]
    run = scored_run(tmp_path, save_parquet(tmp_path, rows))
    wanted = request(run, of_set="asked", drop=1)
    with pytest.raises(DataError, match=r"a cell cannot be written as JSON: it is of type bytes"):
        curate(wanted)
    assert not Path(wanted.out).exists()


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    data = save_jsonl(tmp_path, ROWS)
    with data.open("a") as file:
        file.write("{no json\n")
    made = curate(request(scored_run(tmp_path, data), of_set="asked", drop=1))
    assert (made.rows, made.unreadable, made.kept) == (30, 1, 29)


def test_dates_are_written_as_text(tmp_path: Path) -> None:
    rows = [{**row, "more": datetime.date(2026, 11, 30)} for row in ROWS]
    made = curate(
        request(scored_run(tmp_path, save_parquet(tmp_path, rows)), of_set="asked", drop=1)
    )
    assert lines(made.kept_file)[0]["more"] == "2026-11-30"


def test_a_run_on_what_stays_trains_on_it_alone(run: RunDir) -> None:
    made = curate(request(run, of_set="asked", drop=6))
    clone = RunDir(run.root.with_name("clean"))
    clone_onto(run, clone, made.kept_file, made.held_out_file)
    run_here(clone, prepare)
    gone = {row["name"] for row in lines(made.dropped_file)}
    before, after = (set(read_document_ids(one)) for one in (run, clone))
    assert after == before - gone
    held_out = [read_document_ids(one, one.validation) for one in (run, clone)]
    assert held_out[0] == held_out[1] != []  # losses before and after are of the same texts
    ours, theirs = (
        json.loads((one.tokenizer / "tokenizer.json").read_text()) for one in (clone, run)
    )
    assert ours == theirs  # losses a token can be compared
    with pytest.raises(UsageError, match="there is a run 'clean' already"):
        clone_onto(run, clone, made.kept_file, made.held_out_file)


def test_data_cannot_change_a_model_that_was_trained_elsewhere(run: RunDir) -> None:
    text = run.settings.read_text().replace("[model]", '[model]\ntrained = "somewhere"', 1)
    text = text.replace('init = "scratch"', 'init = "pretrained"', 1)
    change_settings(run, text)
    with pytest.raises(UsageError, match="the model of run small was trained elsewhere"):
        refuse_clone_onto(run, RunDir(run.root.with_name("clean")))


def test_the_verb_has_it_done_by_a_process_and_makes_a_run_on_what_stays(run: RunDir) -> None:
    out = run.root.parent.parent / "out"
    words = ["curate", "small", "--set", "asked", "--drop", "2", "--clone", "clean", "--json"]
    runs = ["--runs", str(run.root.parent)]
    found = CliRunner().invoke(main, [*runs, *words, "--out", str(out)])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["dropped"], told["kept"], told["clone"]) == (2, 28, "clean")
    assert len(lines(out / "dropped.jsonl")) == 2
    clone = RunDir(run.root.with_name("clean"))
    assert load_settings(clone.settings).data.path == str(out / "kept.jsonl")
    assert clone.prompts.read_text() == run.prompts.read_text()
    again = CliRunner().invoke(main, [*runs, *words[:6], "--out", str(out)])
    assert again.exit_code == 2
    assert "there is something at" in again.output
