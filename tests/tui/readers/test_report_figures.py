"""What the report's figures show is read from the run's own results."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_evaluation, sample_factors, sample_run
from tui.readers.report_figures import Curves, Intervals, read_figures


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run with results of every stage that has a figure."""
    run = sample_run.new_run(tmp_path)
    sample_run.train_events(run, steps=40)
    sample_run.finish(run, "inspect", "evaluate", "benchmark", "validate")
    sample_factors.write_spectra(run)
    sample_evaluation.write_evaluation(run)
    sample_evaluation.write_benchmarks(run)
    sample_evaluation.write_validation(run)
    return run


def intervals(run: RunDir, name: str) -> Intervals:
    (figure,) = read_figures(run, f"figures/{name}.svg")
    assert isinstance(figure, Intervals)
    return figure


def test_answers_have_a_line_for_every_metric_that_is_a_share(run: RunDir) -> None:
    figure = intervals(run, "answers")
    assert [row.name for row in figure.rows] == ["BLEU", "token F1"]
    assert figure.is_share


def test_benchmarks_stand_beside_chance(run: RunDir) -> None:
    rows = intervals(run, "benchmarks").rows
    assert [row.beside for row in rows] == [0.5, 0.5, 0.0]
    assert rows[0].name == "international_law · texts by length · base"


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("removal", ["ekfac_normalized", "random"]),
        ("datamodeling", ["ekfac_normalized", "identity", "bm25"]),
    ],
)
def test_experiments_have_a_line_for_every_ranking(
    run: RunDir, part: str, names: list[str]
) -> None:
    figure = intervals(run, part)
    assert [row.name for row in figure.rows] == names
    assert not figure.is_share


def test_curves_run_over_steps_and_over_layers(run: RunDir) -> None:
    (loss,) = read_figures(run, "figures/loss.svg")
    assert isinstance(loss, Curves)
    assert list(loss.curves["training"].steps) == list(range(1, 41))
    ranks = read_figures(run, "figures/effective_rank.svg")
    assert ranks
    for figure in ranks:
        assert isinstance(figure, Curves)
        assert all(0 < value <= 100 for curve in figure.curves.values() for value in curve.values)


@pytest.mark.parametrize("path", ["figures/tail_patch.svg", "figures/other.svg", "", "../x.png"])
def test_what_is_not_there_shows_nothing(run: RunDir, path: str) -> None:
    assert read_figures(run, path) == ()


def test_a_run_without_results_shows_nothing(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    for name in ("loss", "answers", "benchmarks", "effective_rank", "removal"):
        assert read_figures(run, f"figures/{name}.svg") == ()
