"""How a stage's state looks: a word, a symbol and an ink, never colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.content.ink import Ink
from tui.readers.clean import clean

if TYPE_CHECKING:
    from pipeline.contract.run.status import StageStatus, State
    from tui.readers.run_reader import RunSnapshot

SYMBOLS: dict[State, tuple[str, Ink]] = {
    "waiting": ("○", "dim"),
    "queued": ("◌", "dim"),
    "running": ("●", "accent"),
    "stopping": ("◐", "warn"),
    "finished": ("✓", "dim"),
    "done": ("✓", "good"),
    "stale": ("≠", "warn"),
    "failed": ("✗", "bad"),
    "cancelled": ("⊘", "warn"),
    "lost": ("?", "bad"),
}


def standing(snapshot: RunSnapshot) -> tuple[str, Ink]:
    """`● train running · epoch 3 · 120 of 400 steps`: what says most about a run."""
    stage = snapshot.headline_stage
    if stage is None:
        return ("✗ cannot be read", "bad") if snapshot.trouble else ("", "dim")
    if not snapshot.is_whole:
        return "", "dim"
    if {s.state for s in snapshot.stages if not s.unasked} == {"done"}:
        return "✓ all stages done", "good"
    symbol, ink = SYMBOLS[stage.state]
    doing = f" · {_doing(stage)}" if stage is snapshot.at_work and stage.total else ""
    return f"{symbol} {stage.stage} {stage.state}{doing}", ink


def _doing(stage: StageStatus) -> str:
    """What the stage at work is doing."""
    phase = f"{clean(stage.phase, 24)} · " if stage.phase else ""
    return f"{phase}{stage.done:,.0f} of {stage.total:,.0f} {clean(stage.unit, 16)}"
