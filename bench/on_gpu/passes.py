"""Sections of `bench.gpu` on TinyLlama's shape: each pass of EKFAC beside its plan.

The MLP modules of all layers, 66 of them, 1,000 examples of 512 tokens, 100 prompts. After the
covariances both sides of every module get one orthogonal basis, cosines, for EKFAC is the same
sums in any: decomposing 132 matrices of up to 5,632 rows takes longer than a section may, and is
measured on one layer.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import Any

import psutil
import torch

from bench.influence import cosine_bases
from bench.on_gpu.sections import Figures, Request, Section, Skipped
from bench.on_gpu.workload import TINYLLAMA, Shape, Taken, measured, measured_speed
from pipeline.contract.results.plan import Counts
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.fitting import decompose, fit_covariances, fit_lambda, link_factors
from pipeline.influence.modules import resolve_modules, weight_shape
from pipeline.influence.scoring import pairwise_scores
from pipeline.influence.unfinished import remove_unfinished
from pipeline.planning.devices import this_device
from pipeline.planning.memory import Memory
from pipeline.planning.network import Network
from pipeline.planning.work import by_phase
from pipeline.pretrained.loading import new_network

STRATEGY = "ekfac"
_COMPUTED = {"bfloat16": ("bfloat16", True), "tf32": ("none", True), "float32": ("none", False)}
"""Name → amp_dtype of the network's passes, and whether other products are in TF32."""
_RANK = 64


@dataclass(frozen=True)
class Case:
    """One precision, with its run and its analyzer."""

    request: Request
    precision: str
    rank: int = 0

    @property
    def shape(self) -> Shape:
        """What is computed here."""
        return TINYLLAMA.reduced(self.request.share)

    @property
    def run(self) -> RunDir:
        """Its folder; scores of another rank have one of their own."""
        suffix = f"-rank-{self.rank}" if self.rank else ""
        return RunDir(self.request.folder / f"tinyllama-{self.precision}{suffix}")

    @property
    def settings(self) -> Settings:
        """Those of its run."""
        amp, tf32 = _COMPUTED[self.precision]
        return settings_of(self.request.device, self.shape, amp, tf32, self.rank)

    def analyzer(self) -> InfluenceAnalyzer:
        """On a model that is made anew."""
        self.run.root.mkdir(parents=True, exist_ok=True)
        events = EventWriter(self.run.events, "bench")
        model = self.shape.model(self.request.device)
        return InfluenceAnalyzer(self.settings, self.run, events, model)


def settings_of(
    device: str, shape: Shape, amp: str = "none", tf32: bool = False, rank: int = 0
) -> Settings:
    """Of EKFAC with the data's own labels."""
    return Settings.model_validate(
        {
            "run": {"device": device, "tf32": tf32},
            "data": {"source": "demo", "max_tokens": max(8, shape.tokens)},
            "factors": {"strategies": [STRATEGY], "fisher": "empirical", "amp_dtype": amp},
            "scores": {"second_opinions": [], "amp_dtype": amp, "query_gradient_low_rank": rank},
        }
    )


def memory_of(request: Request, shape: Shape, settings: Settings) -> Memory:
    """What a plan reckons with."""
    with torch.device("meta"):
        model = new_network(shape.config())
    names = resolve_modules(model, settings.modules)
    network = Network(model, [weight_shape(model.get_submodule(name)) for name in names], 0)
    counts = Counts(
        shape.examples, shape.examples * shape.tokens, shape.tokens, shape.prompts, "the benchmark"
    )
    device = this_device(settings, request.folder)
    return Memory(settings, network, counts, device, int(psutil.Process().memory_info().rss))


def section(precision: str, name: str) -> Section:
    """The section that measures one pass in one precision."""

    def of(request: Request) -> Figures:
        if precision == "tf32" and request.device == "cpu":
            raise Skipped("TF32 is a GPU's")
        case = Case(request, precision, _RANK if name.endswith(f"-{_RANK}") else 0)
        return _WORK[name](case)

    return of


def _covariance(case: Case) -> Figures:
    shutil.rmtree(case.run.root, ignore_errors=True)
    memory = memory_of(case.request, case.shape, case.settings)
    analyzer, factors = case.analyzer(), case.run.factors(STRATEGY)
    with measured(case.request.device) as taken:
        fit_covariances(analyzer, STRATEGY, case.shape.rows())
    cosine_bases([factors], factors)
    for side in ("activation", "gradient"):  # as large as the bases, and not read any more
        (factors / f"{side}_covariance.safetensors").unlink()
    return beside_plan(case, memory, "factors", f"{STRATEGY} covariance", taken)


def _lambda(case: Case) -> Figures:
    factors = case.run.factors(STRATEGY)
    _require(factors / "activation_eigenvectors.safetensors", case, "covariance")
    remove_unfinished(factors)
    for old in factors.glob("*lambda*"):
        old.unlink()
    memory = memory_of(case.request, case.shape, case.settings)
    analyzer = case.analyzer()
    with measured(case.request.device) as taken:
        fit_lambda(analyzer, STRATEGY, case.shape.rows())
    return beside_plan(case, memory, "factors", f"{STRATEGY} lambda", taken)


def _scores(case: Case) -> Figures:
    fitted = Case(case.request, case.precision).run
    _require(fitted.factors(STRATEGY) / "lambda_matrix.safetensors", case, "lambda")
    if case.rank:
        link_factors(fitted, case.run, STRATEGY)
    shutil.rmtree(case.run.kronfluence_scores(STRATEGY), ignore_errors=True)
    memory = memory_of(case.request, case.shape, case.settings)
    analyzer, prompts = case.analyzer(), case.shape.asked()
    with measured(case.request.device) as taken:
        pairwise_scores(analyzer, STRATEGY, prompts, case.shape.rows())
    figures = beside_plan(case, memory, "scores", f"{STRATEGY} scores", taken)
    if case.rank:  # the last pass of this precision; its factors take 13 GB
        shutil.rmtree(case.run.root)
        shutil.rmtree(fitted.root)
    return {"passes_over_examples": analyzer.gathering(prompts).passes} | figures


_WORK = {
    "covariance": _covariance,
    "lambda": _lambda,
    "scores": _scores,
    f"scores-rank-{_RANK}": _scores,
}


def _require(file: Any, case: Case, earlier: str) -> None:
    if not file.exists():
        raise Skipped(f"tinyllama-{case.precision}-{earlier} has left nothing to go on from")


def beside_plan(case: Case, memory: Memory, stage: str, phase: str, taken: Taken) -> Figures:
    """What a pass took, beside the arithmetic that it needs and the memory that was planned."""
    amp, tf32 = _COMPUTED[case.precision]
    needed = by_phase(stage, memory)[phase]
    speed = measured_speed(case.request.device, case.request.share)
    floor = needed.seconds(speed, halves=amp == "bfloat16", tensor=tf32)
    moment = next(moment for moment in memory.moments(stage) if moment.phase == phase)
    parts = moment.device or moment.host
    return {
        **asdict(taken),
        "operations": needed.network + needed.products,
        "floor_seconds": floor,
        "share_of_floor": floor / taken.clock,
        "planned_peak": round(sum(parts.values())),
        "peak_of_planned": taken.peak / sum(parts.values()),
        "rates": asdict(speed),
        "modules": len(memory.network.shapes),
        "examples": case.shape.examples,
        "prompts": case.shape.prompts,
    }


def eigendecomposition(request: Request) -> Figures:
    """One layer's matrices, in float64 as always."""
    shape = Shape(**{**asdict(TINYLLAMA.reduced(request.share)), "layers": 1, "examples": 24})
    run = RunDir(request.folder / "tinyllama-eigendecomposition")
    shutil.rmtree(run.root, ignore_errors=True)
    run.root.mkdir(parents=True)
    settings = settings_of(request.device, shape)
    model = shape.model(request.device)
    analyzer = InfluenceAnalyzer(settings, run, EventWriter(run.events, "bench"), model)
    fit_covariances(analyzer, STRATEGY, shape.rows())
    memory = memory_of(request, shape, settings)
    with measured(request.device) as taken:
        decompose(analyzer, STRATEGY)
    needed = by_phase("factors", memory)[f"{STRATEGY} eigendecomposition"]
    floor = needed.double / measured_speed(request.device, request.share).float64
    of_all = TINYLLAMA.reduced(request.share).layers
    return {
        **asdict(taken),
        "matrices": 2 * len(analyzer.modules),
        "floor_seconds": floor,
        "share_of_floor": floor / taken.clock,
        "seconds_of_all_layers_if_each_is_as_long": of_all * taken.clock,
    }
