"""validate: does the ranking mean anything?

Removal (models trained again without a prompt's first examples, without BM25's, without random
ones), the linear datamodeling score on random halves, one step on single examples, other dampings,
and the curvature fitted again. Reads what scores wrote; what it writes: see
`contract/results/validation.py`. A validation that was stopped or is widened trains nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict

from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.validation import (
    STAGE,
    DampingAgreement,
    ValidationSummary,
    write_validation,
)
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.influence.retrieval import evaluate
from pipeline.memory import exhaustion_explained
from pipeline.sharing.stage import SharedStage
from pipeline.validation.context import ValidationContext
from pipeline.validation.lds import RANDOM_HALVES, datamodeling
from pipeline.validation.removal import REMOVAL, removal
from pipeline.validation.rescoring import STABILITY_TOP, agreement, dampings, parts, refits
from pipeline.validation.tail_patch import TAIL_PATCH, tail_patch
from pipeline.validation.trainers import trainers

_MEMORY_ADVICE = "lower train.batch_tokens, or set train.gradient_checkpointing = true"


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Validates the run's rankings; parts that the settings leave out are null.

    Raises:
        SettingsError: a file of validation.outside is of no use.
        ResourceError: out of memory.
    """
    events.doing("reading the rankings")
    context = ValidationContext.of(settings, run, events)
    events.plan(_parts(context))
    with exhaustion_explained(_MEMORY_ADVICE):
        damped = dampings(context)
        patched = tail_patch(context)
        fitted = tuple(agreement(_own(context), scores) for scores in refits(context))
        with _sharing(context) as sharing:
            removed = removal(context, sharing)
            halves = datamodeling(context, damped, sharing)
        summary = ValidationSummary(
            default_method=context.default,
            prompts=len(context.prompts),
            examples=len(context.examples),
            tail_patch=patched,
            dampings=_dampings(context, damped),
            refits=fitted,
            removal=removed,
            datamodeling=halves,
            stability_top=STABILITY_TOP,
            warnings=tuple(context.warnings),
        )
    write_validation(run, summary)


def _parts(context: ValidationContext) -> dict[str, float]:
    """Every phase in its order, and about how many examples' passes it is."""
    wanted, prompts = context.wanted, len(context.prompts)
    damped, again = parts(context)
    rankings = len(context.compared) + 1  # and random examples
    training = len(context.examples) * context.settings.train.epochs
    without = wanted.seeds * (1 + min(wanted.removal_groups, prompts) * rankings)
    return {
        **damped,
        TAIL_PATCH: float(wanted.tail_patch * prompts * rankings),
        **again,
        REMOVAL: without * training,
        RANDOM_HALVES: wanted.subsets * wanted.subset_seeds * training / 2,
    }


def _sharing(context: ValidationContext) -> AbstractContextManager[SharedStage | None]:
    """Lets other workers train, where there is anything to train."""
    wanted = context.wanted
    groups = min(wanted.removal_groups, len(context.prompts)) * (len(context.compared) + 1)
    trainings = wanted.seeds * (1 + groups) + wanted.subsets * wanted.subset_seeds
    if not trainings:
        return nullcontext()
    return trainers(STAGE, context.settings, context.run, context.events, trainings)


def _own(context: ValidationContext) -> Scores:
    return context.methods[context.default]


def _dampings(
    context: ValidationContext, damped: Mapping[str, Scores]
) -> dict[str, DampingAgreement]:
    known = evaluate(context.prompts, context.documents, damped)
    return {
        name: DampingAgreement(**asdict(agreement(_own(context), scores)), known=known.get(name))
        for name, scores in damped.items()
    }
