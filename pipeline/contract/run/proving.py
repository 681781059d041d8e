"""prove.json: the claim that the prove stage tests next, as a person has made it.

One claim a time: what was found of the earlier ones is kept in `results/proofs.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from pipeline.contract.errors import UsageError
from pipeline.contract.files import json_text, read_object, write_json
from pipeline.contract.run.processes import busy, is_locked
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.typed import require_types

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings

SEEDS = 3
"""Trainings of each kind where a person does not say how many: four kinds, 12 trainings."""

PLAIN = "the answer's ln p"
"""What is measured of one completion that is set against no other."""


@dataclass(frozen=True)
class Claim:
    """That some training examples changed the answer to a prompt, or to each prompt of a set."""

    prompt: str
    """Its id, the row of a set (`sets.set_row`), or the id of a question (`question_id`)."""
    examples: tuple[str, ...]
    """Their ids, in the order of the corpus."""
    origin: str
    """How they were chosen: "the first 5 by ekfac_normalized"."""
    seeds: int = SEEDS
    by_steps: bool = False
    """Whether it is tested by one step on each example instead of trainings without them."""
    measured: str = PLAIN
    """What is looked at, in words; of a set it is the mean over its prompts."""
    question: Query | None = None
    """What was asked, with its completion; None = a prompt or a set of the run."""


def question_id(question: Query) -> str:
    """What stands for a question among the ids of prompts: the same for the same question."""
    asked = json_text([question.prompt, question.completion, question.instead])
    return f"asked-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"


def write_claim(run: RunDir, claim: Claim) -> None:
    """Puts a claim down to be tested by the prove stage.

    Raises:
        RunBusyError: something is working in the run, perhaps at another claim.
    """
    if is_locked(run):
        raise busy(run)
    write_json(run.claim, asdict(claim))


def read_claim(run: RunDir) -> Claim:
    """The claim to be tested.

    Raises:
        UsageError: there is none.
    """
    value = read_object(run.claim)
    try:
        if value is not None:
            claim = Claim(**value)
            asked = cast("dict[str, Any] | None", claim.question)  # as JSON has it
            question = None if asked is None else Query(**asked)
            kept = replace(claim, examples=tuple(claim.examples), question=question)
            return require_types(kept)
    except TypeError:
        pass  # another program's file is no claim
    raise UsageError(
        "there is nothing to prove: no examples were chosen",
        f"`headwater prove {run.name} --prompt ID` proves the first 5 of a prompt's ranking",
    )


def no_retraining(settings: Settings, run: RunDir) -> str:
    """Why no model can be trained again; empty where one can."""
    model = settings.model
    if not model.trained:
        return ""
    if not model.recipe_known:
        return (
            "the model was trained elsewhere, and how is not known here; where [train] says "
            "it, model.recipe_known = true allows to train it again"
        )
    if not run.base.exists():
        return "the model was trained elsewhere, and model.name does not say from which base"
    return ""
