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
    doing = clean(phase_told(stage), 60) if stage is snapshot.at_work else ""
    return " · ".join(filter(None, [f"{symbol} {stage.stage} {stage.state}", doing])), ink


def no_loss(snapshot: RunSnapshot | None) -> str:
    """Why there is no loss to draw."""
    if snapshot is None or snapshot.read_share < 1:
        return "reading the run …"
    train = snapshot.stage("train")
    if train is None:
        return "no loss: the run cannot be read" if snapshot.trouble else "reading the run …"
    if train.at_work:
        doing = f": {clean(train.phase, 60)}" if train.phase else ""
        return f"no loss yet; the train stage is at work{doing}"
    if train.state in ("waiting", "queued"):
        return "no loss yet: the train stage has not begun"
    if train.state in ("failed", "cancelled", "lost"):
        return "no loss: the train stage ended before it had reported one"
    return "no loss: the train stage has trained nothing here"


def phase_told(stage: StageStatus) -> str:
    """`ekfac covariance · 512 of 1,425 examples`: what the stage at work does, as far as it says;
    nothing is counted where it is not known how much there is."""
    counted = ""
    if stage.done is not None and stage.total:
        counted = f"{stage.done:,.0f} of {stage.total:,.0f} {stage.unit}"
    elif stage.done:
        counted = f"{stage.done:,.0f} {stage.unit}"
    return " · ".join(filter(None, [stage.phase, counted.strip()]))
