# /// script
# requires-python = ">=3.11"
# dependencies = ["bergson==2.5.1", "transformers==5.23.0"]
# [tool.uv]
# exclude-newer = "2026-11-20T00:00:00Z"
# override-dependencies = ["torchaudio; sys_platform == 'never'"] # its only builds clash with torch
# ///
"""Scores examples with Bergson's own steps, in an environment that has nothing of ours.

    uv run --script bench/bergson_passes.py FOLDER RANKING …   (ekfac:0.1, kfac:1e-6, …: damping)

FOLDER holds model/, tokenizer/, train.jsonl and prompts.jsonl (input_ids, labels, length). Writes
bergson_ekfac_0.1.npy and so on, float32 [prompts, examples], positive = proponent, and
summary.json: the modules, the seconds of each pass with all that Bergson loads for it, of the
processor and by the clock, and the most bytes that were held. The steps are those of
`bergson ekfac` (its hessians/pipeline.py); rankings share one fit.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from bergson.build import build_query
from bergson.config.config import (
    HessianConfig,
    IndexConfig,
    InversionConfig,
    PreprocessConfig,
    QuerySetConfig,
    ScoreConfig,
)
from bergson.data import load_scores
from bergson.hessians.apply_hessian import EkfacConfig, apply_worker
from bergson.hessians.hessian_approximations import approximate_hessians
from bergson.score.score import score_dataset


class Passes:
    """Bergson on one model and its examples; every step in a folder of its own."""

    def __init__(self, folder: Path, exclude: str, tokens: int, data_labels: bool) -> None:
        self.seconds: dict[str, float] = {}
        self.clock: dict[str, float] = {}
        self._folder = folder
        self._data_labels = data_labels
        self._index = IndexConfig(
            run_path="",
            model=str(folder / "model"),
            tokenizer=str(folder / "tokenizer"),
            token_batch_size=tokens,
            filter_modules=exclude,
            force_math_sdp=True,
        )
        self._index.data.dataset = str(folder / "train.jsonl")

    def prompts(self) -> None:
        """The prompts' gradients."""
        query = QuerySetConfig(dataset=str(self._folder / "prompts.jsonl"))
        with self._timed("prompts"):
            build_query(self._at("query"), query, PreprocessConfig())

    def factors(self, ev_correction: bool) -> None:
        """Covariances, their eigenvectors and, for EKFAC, the corrected eigenvalues."""
        wanted = HessianConfig(
            method="kfac", ev_correction=ev_correction, use_dataset_labels=self._data_labels
        )
        torch.manual_seed(0)  # of the sampled labels
        with self._timed("factors"):
            approximate_hessians(self._at("hessian"), wanted)

    def scores(self, ranking: str) -> np.ndarray:
        """[prompts, examples] of `strategy:damping`."""
        strategy, _, damping = ranking.partition(":")
        preconditioned = self._folder / f"{strategy}_{damping}_query"
        step = EkfacConfig(
            hessian_method_path=str(self._folder / "hessian"),
            gradient_path=str(self._folder / "query"),
            run_path=str(preconditioned),
            ev_correction=strategy == "ekfac",
        )
        name = f"{strategy}_{damping}_scores"
        with self._timed(ranking):
            apply_worker(0, 0, 1, step, InversionConfig(damping_factor=float(damping)))
            scoring = ScoreConfig(query_path=str(preconditioned), higher_is_better=True)
            score_dataset(self._at(name), scoring, PreprocessConfig())
        return np.asarray(load_scores(self._folder / name)[:]).T

    def modules(self) -> list[str]:
        """Names of those that were tracked."""
        return list(json.loads((self._folder / "query/info.json").read_text())["grad_sizes"])

    def _at(self, name: str) -> IndexConfig:
        index = deepcopy(self._index)
        index.run_path = str(self._folder / name)
        return index

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        begun = time.process_time(), time.perf_counter()
        yield
        self.seconds[name] = time.process_time() - begun[0]
        self.clock[name] = time.perf_counter() - begun[1]


def main() -> None:
    """Writes what the module's text says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rankings", nargs="+")
    parser.add_argument("--tokens", type=int, default=2048, help="budget of a batch")
    parser.add_argument("--exclude", default="*self_attn*", help="modules not to track")
    parser.add_argument("--data-labels", action="store_true", help="empirical Fisher")
    options = parser.parse_args()
    passes = Passes(options.folder, options.exclude, options.tokens, options.data_labels)
    passes.prompts()
    passes.factors(any(ranking.startswith("ekfac") for ranking in options.rankings))
    for ranking in options.rankings:
        name = f"bergson_{ranking.replace(':', '_')}.npy"
        np.save(options.folder / name, passes.scores(ranking).astype(np.float32))
    summary = {
        "modules": passes.modules(),
        "seconds": passes.seconds,
        "clock": passes.clock,
        "peak_bytes": peak_bytes(),
    }
    (options.folder / "summary.json").write_text(json.dumps(summary))


def peak_bytes() -> int:
    """The most that was held: of the GPU by torch where there is one, or by the process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_reserved())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
