"""A run whose scores stage has finished, of two prompts and three examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.contract.results.rankings import write_rankings
from pipeline.contract.results.score_file import ScoreMetadata, write_scores
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings

METHODS = {
    "ekfac": np.array([[1.0, 3.0, 2.0], [0.5, 0.5, np.nan]], np.float32),
    "bm25": np.array([[0.0, 0.0, 4.0], [1.0, 2.0, 3.0]], np.float32),
}
LAYERS = {
    2: np.array([[0.25, 1.0, 2.0], [0.5, 0.0, 0.0]], np.float32),
    5: np.array([[0.75, 2.0, 0.0], [0.0, 0.5, 0.0]], np.float32),
}
METADATA = ScoreMetadata(
    prompts=("sea", "mill"),
    methods=tuple(METHODS),
    default_method="ekfac",
    layers=tuple(LAYERS),
    strategy="ekfac",
    damping=1e-8,
    fisher="sampled",
    precision={"score_dtype": "float32"},
    modules=("layers.2.up", "layers.5.up"),
    examples=3,
)


def finished_run(folder: Path, written_by: int = freshness.FORMAT) -> RunDir:
    """A run whose scores stage has finished and left nothing."""
    run = RunDir(folder / "demo")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")))
    settings = load_settings(run.settings)
    freshness.finish("scores", freshness.begin("scores", settings, run), settings, run, 1.0)
    done = run.done("scores")
    now = f'"format": {freshness.FORMAT}'
    assert now in done.read_text()
    done.write_text(done.read_text().replace(now, f'"format": {written_by}'))
    return run


def save_score_file(run: RunDir) -> None:
    """Writes scores.safetensors."""
    write_scores(run, METADATA, METHODS, LAYERS, {"ekfac": np.arange(3, dtype=np.float32)})


def save_ranking_rows(run: RunDir, without: tuple[str, ...] = ()) -> None:
    """Writes rankings.parquet; columns `without` are then taken from it."""
    import pyarrow.parquet as pq

    columns = [
        pa.array(["sea", "sea", "sea", "mill"]),
        pa.array(["ekfac", "ekfac", "bm25", "ekfac"]),
        pa.array(["top", "bottom", "top", "top"]),
        pa.array([1, 1, 1, 1], pa.int32()),
        pa.array([3.0, 1.0, 4.0, 0.5], pa.float32()),
        pa.array(["d1", "d0#1", "d2", "d0#1"]),
        pa.array(["d1", "d0", "d2", "d0"]),
        pa.array([0, 1, 0, 1], pa.int32()),
        pa.array([1, 2, 1, 2], pa.int32()),
        pa.array(["A whale.", "A mill.", "A seal.", "A mill."]),
        pa.array([3, 4, 3, 4], pa.int32()),
        pa.array([-1, 7, -1, 7], pa.int32()),
        pa.array(["/far/sea.jsonl"] * 4),
        pa.array([11, 12, 13, 12], pa.int64()),
        pa.array([True, False, False, None]),
    ]
    scores = {
        "ekfac": pa.array([3.0, 1.0, 2.0, 0.5], pa.float32()),
        "bm25": pa.array([None, 0.0, 4.0, 1.0], pa.float32()),
    }
    write_rankings(run, "scores", columns, scores)
    if without:
        pq.write_table(pq.read_table(run.rankings).drop_columns(list(without)), run.rankings)
