"""Bergson's rankings, by `bergson_passes.py` in an environment that uv makes for it.

Imports nothing that replaces Kronfluence's modules: what stays plain is compared with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.peer import PeerError, run_peer
from pipeline.contract.files import read_json
from pipeline.contract.results.scores import read_scores_summary
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.greedy_answers import token_dataset, traced_prompts
from pipeline.model import load_tokenizer

PASSES = Path(__file__).with_name("bergson_passes.py")
JUDGED = ("ekfac:0.1", "ekfac:1e-3", "ekfac:1e-8", "kfac:0.1")
"""Strategy and damping ÷ mean eigenvalue; 0.1 is Bergson's own."""


def bergson_rankings(run: RunDir, folder: Path) -> list[Path]:
    """Bergson's scores of a run's prompts and examples, in files for `validation.outside`.

    `folder` is written anew unless it has them all.
    """
    files = [scores_file(folder, ranking) for ranking in JUDGED]
    if not all(file.exists() for file in files):
        shutil.rmtree(folder, ignore_errors=True)
        _score(run, folder)
    ours = [name.removeprefix("model.") for name in read_scores_summary(run).modules]
    if sorted(read_json(folder / "summary.json")["modules"]) != sorted(ours):
        raise SystemExit(f"{run.root}: only all layers' MLP modules can be compared")
    return files


def _score(run: RunDir, folder: Path) -> None:
    settings = load_settings(run.settings)
    traced = traced_prompts(run, settings.prompts.use_generated, load_tokenizer(run.tokenizer))
    queries = token_dataset(traced)
    examples = TokenDataset.of_examples(run)
    shutil.copytree(run.model, folder / "model")
    shutil.copytree(run.tokenizer, folder / "tokenizer")
    labels = ["--data-labels"] * (settings.factors.fisher == "empirical")
    context = read_json(run.model / "config.json")["max_position_embeddings"]
    run_bergson(folder, examples, queries, [*JUDGED, f"--tokens={min(context, 2048)}", *labels])


def run_bergson(
    folder: Path, examples: TokenDataset, prompts: TokenDataset, arguments: Sequence[str]
) -> dict[str, Any]:
    """Has Bergson score what `folder`'s model makes of them; returns its summary."""
    try:
        return run_peer(PASSES, folder, examples, prompts, arguments)
    except PeerError as error:
        raise SystemExit(f"{PASSES.name} failed:\n{error}") from error


def scores_file(folder: Path, ranking: str) -> Path:
    """Where a ranking is once it is made."""
    return folder / f"bergson_{ranking.replace(':', '_')}.npy"
