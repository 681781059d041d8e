"""What the scores stage has taken of its device's memory: decided once, so that a resumed pass goes
on under the same arguments.

File: `scores/budget.json`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.contract.results.common import read_record, was_written, write_record
from pipeline.contract.run.run_dir import RunDir

STAGE = "scores"


@dataclass(frozen=True)
class Budget:
    """The content of `scores/budget.json`."""

    device: str
    """"cpu", or the GPU's name."""
    free: int
    """Bytes that were free on it, with the model loaded."""
    prompts: int
    """Bytes for the prompts' gradients."""
    rank: int = 0
    """That prompts' gradients are compressed to; 0 = they are not."""
    rank_reason: str = ""
    """Why, for a person; empty before it was decided."""


def write_budget(run: RunDir, budget: Budget) -> None:
    """Writes it, in place of one before."""
    run.budget.parent.mkdir(parents=True, exist_ok=True)
    write_record(run.budget, budget)


def read_budget(run: RunDir) -> Budget | None:
    """The budget that was decided on; None where none has been yet.

    Raises:
        MissingResultError: the stage wrote it, and it is gone.
        DamagedResultError: the file holds something else.
    """
    return (
        read_record(run, STAGE, run.budget, Budget) if was_written(run, STAGE, run.budget) else None
    )
