"""What `import headwater` gives of a run is what its files and the command line say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import headwater
from headwater import DamagedResultError, HeadwaterError, MissingResultError
from pipeline.contract.results.rankings import read_rankings
from pipeline.contract.run.run_dir import RunDir

ROOT = Path(__file__).parents[2]


def test_opening_a_folder_without_a_run_says_what_a_run_is(tmp_path: Path) -> None:
    with pytest.raises(HeadwaterError, match="there is no run in"):
        headwater.open_run(tmp_path)


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, headwater; headwater.open_run; "
        "print([m for m in ('torch', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_examples_stand_in_the_order_of_the_scores(finished_run: RunDir) -> None:
    run = headwater.open_run(finished_run.root)
    scores = run.scores
    assert scores[scores.metadata.default_method].shape == (2, len(run.examples))
    file = load_file(finished_run.scores)
    assert list(scores) == list(scores.metadata.methods)
    for method, values in scores.items():
        np.testing.assert_array_equal(values, file[method])


def test_a_ranking_is_the_one_of_the_command_line(finished_run: RunDir) -> None:
    run = headwater.open_run(finished_run.root)
    told = read_rankings(
        finished_run, prompt_id="river", method="ekfac_normalized", end="top", last=5
    )
    table = run.rank("river", top=5)
    assert table["example_id"].tolist() == [row.example_id for row in told]
    assert table["score"].tolist() == [row.score for row in told]
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]


def test_the_bottom_of_a_ranking_has_the_last_ranks(finished_run: RunDir) -> None:
    run = headwater.open_run(finished_run.root)
    everything, bottom = run.rank("river", top=None), run.rank("river", top=3, end="bottom")
    assert len(everything) == len(run.examples)
    assert bottom["rank"].tolist() == [len(everything) - n for n in range(3)]
    assert bottom["example_id"].tolist() == everything["example_id"].tolist()[:-4:-1]
    assert len(run.rank("river", top=0, end="bottom")) == 0


def test_a_table_is_the_same_in_every_library(finished_run: RunDir) -> None:
    table = headwater.open_run(finished_run.root).rank("baker", "bm25", top=7)
    assert table.to_pandas()["example_id"].tolist() == table["example_id"].tolist()
    assert table.to_numpy()["score"].dtype == np.float32
    assert [row["rank"] for row in table.rows()] == table.to_pandas()["rank"].tolist()
    polars = pytest.importorskip("polars")
    assert isinstance(table.to_polars(), polars.DataFrame)


def test_unknown_names_are_answered_with_the_known_ones(finished_run: RunDir) -> None:
    run = headwater.open_run(finished_run.root)
    with pytest.raises(HeadwaterError, match="valid: river, baker"):
        run.rank("ocean")
    with pytest.raises(HeadwaterError, match="ekfac_normalized"):
        run.rank("river", "magic")


def test_what_is_missing_or_damaged_is_said(finished_run: RunDir, tmp_path: Path) -> None:
    copy = RunDir(tmp_path / "copy")
    copy.root.mkdir()
    copy.settings.write_bytes(finished_run.settings.read_bytes())
    with pytest.raises(MissingResultError, match="no rankings yet"):
        _ = headwater.open_run(copy.root).scores
    copy.scores.parent.mkdir()
    copy.done("scores").write_bytes(finished_run.done("scores").read_bytes())
    copy.scores.write_bytes(finished_run.scores.read_bytes()[:-100])
    with pytest.raises(DamagedResultError, match=r"scores\.safetensors"):
        _ = headwater.open_run(copy.root).scores


def test_a_new_prompt_is_traced_to_the_examples_of_its_ranking(finished_run: RunDir) -> None:
    run = headwater.open_run(finished_run.root)
    answer = run.ask("The river runs", " past the mill", top=5)
    assert answer.text == " past the mill"
    assert answer.examples["example_id"].tolist() == run.rank("river", top=5)["example_id"].tolist()
    assert run.is_fresh


def test_the_example_script_reads_the_run(finished_run: RunDir) -> None:
    command = [sys.executable, "examples/read_a_run.py", str(finished_run.root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    first = headwater.open_run(finished_run.root).rank("river", top=1)["text"][0]
    assert first[:40] in done.stdout
    assert "widest gradient covariance" in done.stdout
