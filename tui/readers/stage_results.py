"""What a stage made, in a few lines: what a person would look for first in each stage's results."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.files import read_object
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.units import duration, size
from tui.readers.format import number

if TYPE_CHECKING:
    from pipeline.contract.results.plan import Plan, StagePlan

Figure = tuple[str, str]
"""What it is, and its value, for reading."""
_FILES = 12
"""Files of a corpus whose accounts are told."""


@dataclass(frozen=True)
class StageResults:
    """What is known of a stage that has finished once."""

    figures: tuple[Figure, ...] = ()
    trouble: str = ""
    """Why its results cannot be read, and what to do."""
    disk: int = 0
    """Bytes of the files that it wrote."""
    memory: int | None = None
    """Bytes that its process had at most; None where that was not recorded."""
    expected: str = ""
    """Of a stage that has not run: what it will take, as the run's plan has it; empty where there
    is none of these settings."""


def stage_results(run: RunDir, stage: str) -> StageResults:
    """Reads a finished stage's results; what cannot be read says so instead of raising."""
    figures: tuple[Figure, ...] = ()
    trouble = ""
    try:
        figures = tuple(_FIGURES[stage](run))
    except HeadwaterError as error:
        trouble = str(error)
    peak = (read_object(run.exit(stage)) or {}).get("peak_rss")
    return StageResults(
        figures, trouble, _bytes_of(stage, run), peak if isinstance(peak, int) else None
    )


def expected_results(run: RunDir, stage: str) -> StageResults:
    """What is known of a stage before it has run: what it will take, if that was planned."""
    plan = current_plan(run)
    found = [one for one in plan.by_stage if one.stage == stage] if plan else []
    return StageResults(expected=" ".join(map(_expected, found)))


def current_plan(run: RunDir) -> Plan | None:
    """The run's plan; None where there is none of the settings that hold now."""
    from pipeline.contract.results.plan import plan_digest, read_plan
    from pipeline.contract.settings.loading import load_settings

    try:
        plan = read_plan(run)
        return (
            plan if plan.settings_digest == plan_digest(run, load_settings(run.settings)) else None
        )
    except HeadwaterError:  # nothing rests on it, and it can be made again
        return None


def plan_mark(run: RunDir) -> tuple[int, ...]:
    """Changes with a run's plan and with its settings."""
    return tuple(path.stat().st_mtime_ns for path in (run.plan, run.settings) if path.exists())


def _expected(stage: StagePlan) -> str:
    parts = [f"{size(stage.host.bytes)} of memory"]
    parts += [f"{size(stage.device.bytes)} of the GPU's"] if stage.device else []
    parts += [f"{size(stage.disk)} on the disk"] if stage.disk else []
    time = f"about {duration(stage.seconds)}, " if stage.seconds is not None else ""
    return f"{time}{', '.join(parts)}; estimated"


def _bytes_of(stage: str, run: RunDir) -> int:
    folders = [run.stage(stage)]
    for pattern in STAGES[stage].other_folders:
        folders.extend(run.root.glob(pattern))
    return sum(map(_size, (file for folder in folders for file in folder.rglob("*"))))


def _size(file: Path) -> int:
    try:
        return 0 if file.is_dir() else file.lstat().st_size
    except OSError:  # gone meanwhile
        return 0


def _results(name: str) -> Any:
    """A file of the results room: imported when it is wanted, for the sake of the first paint."""
    return importlib.import_module(f"pipeline.contract.results.{name}")


def _corpus(run: RunDir) -> Iterator[Figure]:
    found = _results("examples").read_corpus_summary(run)
    held_out = f"{found.validation_examples:,} held out"
    yield "examples", f"{found.examples:,} for training, {held_out}, {found.tokens:,} tokens"
    lost = found.unreadable + sum(found.refused.values())
    parts = [f"{found.documents:,} documents", f"{lost:,} rows lost"]
    parts += [f"{found.empty:,} without text"] if found.empty else []
    parts += [f"{found.chunked_documents:,} cut into several"] if found.chunked_documents else []
    yield "read", ", ".join(parts)
    yield "duplicates", f"{found.duplicates:,} examples in {found.duplicate_groups:,} groups"
    if found.form != "text":
        yield "loss on", f"{found.answers:,} answers; {found.answers_dropped:,} too long, left out"
    for reason, count in found.refused.items():
        yield "refused", f"{count:,}: {reason}"
    for account in found.files[:_FILES]:
        yield Path(account.file).name or account.file, account.described()
    if len(found.files) > _FILES:
        yield "more files", f"{len(found.files) - _FILES:,}, all in prepare/summary.json"


def _training(run: RunDir) -> Iterator[Figure]:
    found = _results("training").read_training(run)
    if found.trained_elsewhere:
        yield "taken from", found.trained_elsewhere
    if found.validation_loss is not None:
        before = found.base_validation_loss
        was = f"{number(before)} before, " if before is not None else ""
        frequencies = found.unigram_loss
        bar = ""
        if frequencies is not None:
            bar = f"; by token frequencies alone {number(frequencies)}"
        yield "held-out loss", f"{was}{number(found.validation_loss)} nats a token{bar}"
    if found.train_loss is not None:
        yield "training loss", f"{number(found.train_loss)} nats a token"
    if found.adapter:
        rank, count = found.adapter.rank, found.adapter.parameters
        yield "adapter", f"rank {rank} on {found.adapter.modules} layers, {count:,} parameters"
    steps = f", {found.steps:,} steps, {found.epochs:g} epochs" if found.steps else ""
    yield "model", f"{found.parameters:,} parameters{steps}"
    if found.stopped_early:
        yield "ended early", found.stopped_early


def _factors(run: RunDir) -> Iterator[Figure]:
    found = _results("factors").read_factors_summary(run)
    yield "strategies", ", ".join(found.strategies)
    yield "measured on", f"{found.examples:,} examples, {len(found.modules):,} modules"
    if found.coverage:
        yield "traced", found.coverage.sentence


def _scores(run: RunDir) -> Iterator[Figure]:
    found = _results("scores").read_scores_summary(run)
    yield "rankings", f"{found.prompts:,} prompts, {found.examples:,} examples each"
    yield "methods", ", ".join(found.methods)
    if known := found.evaluation.get(found.default_method):
        yield found.default_method, f"recall@{known.k} {known.recall:.2f}, MRR {known.mrr:.2f}"
    for warning in found.warnings:
        yield "note", warning


def _spectra(run: RunDir) -> Iterator[Figure]:
    found = _results("spectra").read_summary(run)
    yield "spectra", f"{found.modules:,} modules in {len(found.layers):,} layers"
    yield "strategies", ", ".join(found.strategies)
    for warning in found.warnings:
        yield "note", warning


def _generation(run: RunDir) -> Iterator[Figure]:
    found = _results("generation").read_generation(run)
    yield "answers", f"{found.prompts:,} prompts, by the base and by the trained model"
    for model, perplexity in found.perplexities.items():
        if perplexity.validation is not None:
            yield f"{model} model", f"perplexity {number(perplexity.validation)} on held-out text"


def _evaluation(run: RunDir) -> Iterator[Figure]:
    found = _results("evaluation").read_evaluation(run)
    for metric in found.metrics:
        base, trained = (
            f"{value:.1%}" if metric.is_share else number(value)
            for value in (metric.base, metric.trained)
        )
        yield metric.title, f"base {base}, trained {trained}: {metric.verdict}"


def _benchmarks(run: RunDir) -> Iterator[Figure]:
    module = _results("benchmarks")
    found = module.read_benchmarks(run)
    for task in found.tasks():
        if task.task == module.WHOLE or len(found.scores) <= _FILES:
            scores = [f"{name} {score.value:.1%}" for name, score in task.models.items()]
            verdict = f": {task.comparison.verdict}" if task.comparison else ""
            yield task.benchmark, ", ".join([*scores, f"guessing {task.chance:.1%}"]) + verdict
    for name, reason in found.skipped.items():
        yield f"no {name}", reason


def _index(run: RunDir) -> Iterator[Figure]:
    found = _results("index").read_index_summary(run)
    added = f", {found.added:,} of them added texts" if found.added else ""
    yield "indexed", f"{found.examples:,} examples{added}"
    yield "kept of each", f"{found.features:,} numbers; {size(found.bytes)} in all"


def _validation(run: RunDir) -> Iterator[Figure]:
    module = _results("validation")
    found = module.read_validation(run)
    verdict = _results("verdict").verdict
    for part in module.PARTS:
        for finding in module.findings(found, part):
            if finding.name == found.default_method:
                told = f"{finding.estimate.value:.3g}"
                if finding.advantage:
                    than = module.REFERENCES[part]
                    told += f", {verdict(finding.advantage)} than {than}"
                yield module.SHORT_TITLES[part], told


def _proofs(run: RunDir) -> Iterator[Figure]:
    found = _results("proofs").load_proofs(run)
    yield "claims", f"{len(found):,}"
    for one in found[:1]:
        yield f"prompt {one.value.claim.prompt}", one.value.conclusion


def _report(run: RunDir) -> Iterator[Figure]:
    yield "page", str(run.report_html.relative_to(run.root))
    yield "text", str(run.report_markdown.relative_to(run.root))


_FIGURES: dict[str, Callable[[RunDir], Iterator[Figure]]] = {
    "prepare": _corpus,
    "train": _training,
    "factors": _factors,
    "scores": _scores,
    "inspect": _spectra,
    "generate": _generation,
    "evaluate": _evaluation,
    "benchmark": _benchmarks,
    "index": _index,
    "validate": _validation,
    "prove": _proofs,
    "report": _report,
}
