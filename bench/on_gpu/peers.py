"""Sections of `bench.gpu` beside peers: EKFAC at full dimension on Qwen2.5's shapes.

64 examples of 512 tokens and one prompt, as in a measurement of dattri-llm's on an H200; random
weights, MLP modules, the data's own labels, float32, damping 0.1 × the mean eigenvalue. Every
method has the same weights and tokens, and a process of its own; its scores are kept and compared
at the end. Bergson and dattri-llm leave every example's last token out of the covariances, where
Kronfluence and ours count it; so ours is also computed their way.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.module.linear import TrackedLinear
from kronfluence.module.tracked_module import TrackedModule
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoModelForCausalLM, PreTrainedModel

from bench.beside_bergson import last_tokens_left_out
from bench.beside_dattri import correlations
from bench.on_gpu.passes import STRATEGY, settings_of
from bench.on_gpu.sections import (
    AGREEMENT,
    BERGSON,
    DATTRI,
    METHODS,
    OURS,
    PLAIN,
    THEIR_WAY,
    Figures,
    Request,
    Section,
    Skipped,
)
from bench.on_gpu.workload import QWEN, TINY, Shape, measured
from bench.peer import NotInstalledError, run_peer
from bench.plain_kronfluence import PlainTask, padded_rows
from pipeline.contract.results.ranks import Scores
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.corpus.examples import TokenDataset
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.fitting import fit
from pipeline.influence.modules import resolve_modules
from pipeline.influence.scoring import pairwise_scores, sum_modules

_BENCH = Path(__file__).parents[1]
_BATCH = 8


def section(shape_name: str, method: str) -> Section:
    """The section that measures one method on one shape, or compares what they came to."""
    work = agreement if method == AGREEMENT else partial(_scored, _SCORERS[method], method)

    def of(request: Request) -> Figures:
        shape = QWEN[shape_name].reduced(request.share)
        folder = request.folder / shape_name
        folder.mkdir(parents=True, exist_ok=True)
        return work(request, shape, folder)

    return of


Found = tuple[Scores, Figures]
Scorer = Callable[[Request, Shape, Path], Found]


def _scored(scorer: Scorer, method: str, request: Request, shape: Shape, folder: Path) -> Figures:
    _weights(shape, folder)
    scores, figures = scorer(request, shape, folder)
    np.save(_table(folder, method), scores)
    for used in (folder / OURS, folder / method):  # factors take tens of gigabytes
        shutil.rmtree(used, ignore_errors=True)
    return figures


def _table(folder: Path, method: str) -> Path:
    return folder / f"scores-{method}.npy"


def _weights(shape: Shape, folder: Path) -> None:
    """The model's folder, made once: the same weights for all."""
    if not (folder / "model").exists():
        shape.model("cpu").save_pretrained(folder / "model.part")
        (folder / "model.part").rename(folder / "model")


def _model(request: Request, folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder / "model", dtype=torch.float32
    )
    model.to(request.device)  # type: ignore[arg-type]
    return model


def _ours(request: Request, shape: Shape, folder: Path) -> Found:
    run = RunDir(folder / OURS)
    shutil.rmtree(run.root, ignore_errors=True)
    run.root.mkdir()
    settings = settings_of(request.device, shape)
    events = EventWriter(run.events, "bench")
    analyzer = InfluenceAnalyzer(settings, run, events, _model(request, folder))
    with measured(request.device) as factors:
        fit(analyzer, STRATEGY, shape.rows())
    with measured(request.device) as scoring:
        scores = sum_modules(pairwise_scores(analyzer, STRATEGY, shape.asked(), shape.rows()))
    return scores.numpy(), _figures(factors=asdict(factors), scores=asdict(scoring))


def _their_way(request: Request, shape: Shape, folder: Path) -> Found:
    with last_tokens_left_out():
        return _ours(request, shape, folder)


def _plain(request: Request, shape: Shape, folder: Path) -> Found:
    TrackedModule.SUPPORTED_MODULES[nn.Linear] = TrackedLinear  # in the place of ours
    model = _model(request, folder)
    modules = resolve_modules(model, settings_of(request.device, shape).modules)
    task = PlainTask(modules)
    output = folder / PLAIN
    shutil.rmtree(output, ignore_errors=True)
    analyzer = Analyzer(
        "plain",
        prepare_model(model, task),
        task,
        cpu=request.device == "cpu",
        disable_tqdm=True,
        output_dir=str(output),
    )
    rows, prompts = _padded(shape.rows()), _padded(shape.asked())
    arguments = FactorArguments(strategy=STRATEGY, use_empirical_fisher=True)
    with sdpa_kernel(SDPBackend.MATH), measured(request.device) as factors:
        analyzer.fit_all_factors(
            STRATEGY, rows, per_device_batch_size=_BATCH, factor_args=arguments
        )
    with sdpa_kernel(SDPBackend.MATH), measured(request.device) as scoring:
        analyzer.compute_pairwise_scores(
            STRATEGY,
            STRATEGY,
            prompts,
            rows,
            per_device_query_batch_size=_BATCH,
            per_device_train_batch_size=_BATCH,
            score_args=ScoreArguments(damping_factor=None),
        )
    scores = analyzer.load_pairwise_scores(STRATEGY)["all_modules"]
    return scores.numpy(), _figures(factors=asdict(factors), scores=asdict(scoring))


def _bergson(request: Request, shape: Shape, folder: Path) -> Found:
    own = _own_folder(folder, BERGSON)
    train_tokenizer(["Nothing is read with it."], 300).save_pretrained(own / "tokenizer")
    arguments = ["ekfac:0.1", "--data-labels", f"--tokens={_BATCH * shape.tokens}"]
    summary = _peer("bergson_passes.py", own, shape, arguments)
    return np.load(own / "bergson_ekfac_0.1.npy"), summary


def _dattri(request: Request, shape: Shape, folder: Path) -> Found:
    own = _own_folder(folder, DATTRI)
    summary = _peer("dattri_passes.py", own, shape, [f"--device={request.device}"])
    return np.load(own / "dattri_ekfac.npy"), summary


def _own_folder(folder: Path, method: str) -> Path:
    own = folder / method
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    (own / "model").symlink_to((folder / "model").resolve())
    return own


def _peer(script: str, folder: Path, shape: Shape, arguments: Sequence[str]) -> Figures:
    try:
        summary = run_peer(_BENCH / script, folder, shape.rows(), shape.asked(), arguments)
    except NotInstalledError as error:
        raise Skipped(f"not installed: {error}") from error
    return {
        "clock": sum(summary["clock"].values()),
        "processor": sum(summary["seconds"].values()),
        "peak": summary["peak_bytes"],
        "by_step": summary["clock"],
    }


_SCORERS: dict[str, Scorer] = {
    OURS: _ours,
    PLAIN: _plain,
    BERGSON: _bergson,
    DATTRI: _dattri,
    THEIR_WAY: _their_way,
}


def _figures(**steps: dict[str, float]) -> Figures:
    """Of both steps together, and of each by the clock."""
    return {
        "clock": sum(step["clock"] for step in steps.values()),
        "processor": sum(step["processor"] for step in steps.values()),
        "peak": max(step["reserved"] or step["peak"] for step in steps.values()),
        "by_step": {name: step["clock"] for name, step in steps.items()},
    }


def _padded(rows: TokenDataset) -> list[dict[str, torch.Tensor]]:
    items = [rows[index] for index in range(len(rows))]
    return padded_rows([(row["input_ids"].tolist(), row["labels"].tolist()) for row in items])


def agreement(request: Request, shape: Shape, folder: Path) -> Figures:
    """Smallest correlations of a prompt's scores with ours, and with ours computed their way."""
    tables = {m: np.load(_table(folder, m)) for m in METHODS if _table(folder, m).exists()}
    own = {m: tables.pop(m) for m in (OURS, THEIR_WAY) if m in tables}
    if not own or not tables:
        raise Skipped("ours and another method's scores are needed")
    found = {
        method: {f"with {name}": _likeness(table, mine) for name, mine in own.items()}
        for method, table in tables.items()
    }
    return found | {"tried_only": request.share < TINY}


def _likeness(theirs: Scores, mine: Scores) -> dict[str, float]:
    spearman, pearson = correlations(theirs, mine)
    return {"spearman": spearman, "pearson": pearson}
