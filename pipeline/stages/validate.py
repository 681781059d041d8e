"""validate: does the ranking mean anything?

Removal (models trained again without a prompt's first examples, without BM25's, without random
ones), the linear datamodeling score on random halves, one step on single examples, other dampings,
and the curvature fitted again. Reads what scores wrote; writes summary.json. What a training came
to is kept in retrainings.jsonl: a validation that was stopped or is widened trains nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.contract.files import write_json
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.influence.evaluation import evaluate
from pipeline.influence.rankings import Scores
from pipeline.memory import exhaustion_explained
from pipeline.validation.lds import datamodeling
from pipeline.validation.removal import removal
from pipeline.validation.rescoring import STABILITY_TOP, agreement, dampings, refits
from pipeline.validation.subject import Subject
from pipeline.validation.tail_patch import tail_patch

_MEMORY_ADVICE = "lower train.batch_tokens, or set train.gradient_checkpointing = true"


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Validates the run's rankings; parts that the settings leave out are null.

    Raises:
        SettingsError: a file of validation.outside is of no use.
        ResourceError: out of memory.
    """
    subject = Subject.of(settings, run, events)
    with exhaustion_explained(_MEMORY_ADVICE):
        damped = dampings(subject)
        summary = {
            "default_method": subject.default,
            "prompts": len(subject.prompts),
            "examples": len(subject.examples),
            "tail_patch": tail_patch(subject),
            "dampings": _dampings(subject, damped),
            "refits": [asdict(agreement(_own(subject), scores)) for scores in refits(subject)],
            "removal": removal(subject),
            "datamodeling": datamodeling(subject, damped),
            "stability_top": STABILITY_TOP,
            "warnings": subject.warnings,
        }
    write_json(run.summary("validate"), summary)


def _own(subject: Subject) -> Scores:
    return subject.methods[subject.default]


def _dampings(subject: Subject, damped: Mapping[str, Scores]) -> dict[str, Any]:
    """How far each other damping changes the ranking, and how well it finds what is known."""
    return {
        name: {
            **asdict(agreement(_own(subject), scores)),
            **evaluate(subject.prompts, subject.documents, {"known": scores}),
        }
        for name, scores in damped.items()
    }
