"""The fitted curvature in figures, of any format."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.files import read_json, write_json
from pipeline.contract.results.factors import (
    STAGE,
    Coverage,
    FactorsSummary,
    GradientErrors,
    read_factors_summary,
    write_factors_summary,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import profile

OLD = Path(__file__).parent / "old" / "factors_1.json"


def test_the_figures_come_back_as_they_were_written(tmp_path: Path) -> None:
    summary = FactorsSummary(
        strategies=("ekfac",),
        fisher="true",
        modules=("model.layers.0.mlp.up_proj",),
        examples=12,
        preflight=GradientErrors(1e-7, 0.0),
        seconds={"ekfac": 1.5},
        coverage=Coverage("mlp", 0.9, "model.layers.{0-1}.mlp.gate.weight"),
    )
    write_factors_summary(RunDir(tmp_path), summary)
    assert read_factors_summary(RunDir(tmp_path)) == summary


def test_factors_of_the_first_format_may_lack_the_preflight(tmp_path: Path) -> None:
    run, settings = RunDir(tmp_path), profile("demo")
    freshness.finish(STAGE, freshness.begin(STAGE, settings, run), settings, run, 1.0)
    done = read_json(run.done(STAGE))
    del done["format"]
    write_json(run.done(STAGE), done)
    write_json(run.summary(STAGE), read_json(OLD))
    summary = read_factors_summary(run)
    assert (summary.preflight, summary.coverage, summary.examples) == (None, None, 1425)
