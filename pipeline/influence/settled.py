"""Settings with every "auto" of influence replaced by what was decided for the run."""

from __future__ import annotations

from pipeline.contract.results.budget import read_budget
from pipeline.contract.results.precision import Precision, read_precision
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings

AUTO = "auto"
FLOAT32 = Precision("none", tf32=False, why="nothing else was chosen")


def settled(settings: Settings, run: RunDir) -> Settings:
    """The settings as the run's stages have decided; float32 and full rank where none has yet.

    Raises:
        DamagedResultError: what was decided cannot be read.
    """
    factors = read_precision(run, "factors") or FLOAT32
    scores, budget = read_precision(run, "scores") or factors, read_budget(run)
    chosen = with_precision(settings, "scores", scores)
    chosen = with_precision(chosen, "factors", factors)
    return with_rank(chosen, budget.rank if budget else 0) if rank_is_open(settings) else chosen


def with_precision(settings: Settings, stage: str, precision: Precision) -> Settings:
    """The settings with a stage's precision, where they leave it open."""
    chosen = settings
    if getattr(settings, stage).amp_dtype == AUTO:
        chosen = _changed(chosen, stage, amp_dtype=precision.amp_dtype)
    return _changed(chosen, "run", tf32=precision.tf32) if settings.run.tf32 == AUTO else chosen


def with_rank(settings: Settings, rank: int) -> Settings:
    """The settings with prompts' gradients compressed to this rank."""
    return _changed(settings, "scores", query_gradient_low_rank=rank)


def rank_is_open(settings: Settings) -> bool:
    """Whether the settings leave the rank of prompts' gradients open."""
    return settings.scores.query_gradient_low_rank == AUTO


def rank_of(settings: Settings) -> int:
    """The rank of prompts' gradients; 0 = full rank, also where it is open."""
    rank = settings.scores.query_gradient_low_rank
    return rank if isinstance(rank, int) else 0


def _changed(settings: Settings, section: str, **values: object) -> Settings:
    part = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: part})
