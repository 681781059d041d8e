"""A run with random scores on thirty rows of a file: enough to sort its data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.contract.files import write_text
from pipeline.contract.results.examples import read_examples, read_origins
from pipeline.contract.results.lookup_writer import write_lookup
from pipeline.contract.results.score_file import ScoreMetadata, write_scores
from pipeline.contract.run import freshness
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import Prompt
from pipeline.stages import prepare
from tests.small_runs import run_here

SETTINGS = """
[run]
device = "cpu"
[data]
source = "local"
path = {path}
text_column = "body"
id_column = {id_column}
validation_fraction = 0.1
max_tokens = {max_tokens}
[model]
init = "scratch"
preset = "nano"
[tokenizer]
source = "train"
vocab_size = 300
"""
PROMPTS = [
    Prompt(id="good", prompt="The mill", completion=" turns", set="asked"),
    Prompt(id="other", prompt="The harbour", completion=" sleeps", set="asked"),
    Prompt(id="alone", prompt="The bell", completion=" rings"),
]
METHODS = ("ekfac", "bm25")
ROWS = [
    {"body": f"Row {n} tells of {'the mill ' * (1 + n % 3)}and number {n * 7919}.", "name": f"r{n}",
     "more": {"page": n, "tags": ["é", None]}}
    for n in range(30)
]  # fmt: skip


def save_jsonl(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "data.jsonl"
    write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    return path


def scored_run(folder: Path, data: Path, max_tokens: int = 64, id_column: str = "name") -> RunDir:
    """A run whose examples have random scores for three prompts; no model was trained for them."""
    run = RunDir(folder / "runs" / "small")
    text = SETTINGS.format(
        path=json.dumps(str(data)), max_tokens=max_tokens, id_column=json.dumps(id_column)
    )
    write_run(run, text, folder / "settings.toml", PROMPTS)
    run_here(run, prepare)
    save_scores(run)
    return run


def save_scores(run: RunDir, highest: int | None = None) -> None:
    settings = load_settings(run.settings)
    for stage in ("train", "factors", "scores"):
        freshness.finish(stage, freshness.begin(stage, settings, run), settings, run, 0.1)
    count = read_examples(run).num_rows
    metadata = ScoreMetadata(
        prompts=tuple(prompt.id for prompt in PROMPTS), methods=METHODS, default_method="ekfac",
        layers=(), strategy="ekfac", damping=None, fisher="sampled", precision={}, modules=(),
        examples=count,
    )  # fmt: skip
    chance = np.random.default_rng(0)
    drawn = {name: chance.standard_normal((len(PROMPTS), count), np.float32) for name in METHODS}
    if highest is not None:
        for rows in drawn.values():
            rows[:, highest] = 100
    write_lookup(run, PROMPTS, read_origins(run))
    write_scores(run, metadata, drawn, {}, {"ekfac": np.ones(count, np.float32)})
    freshness.finish("scores", freshness.begin("scores", settings, run), settings, run, 0.1)
