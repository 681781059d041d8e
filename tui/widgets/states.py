"""How a stage's state looks: a word, a symbol and an ink, never colour alone."""

from __future__ import annotations

from pipeline.contract.status import State
from tui.widgets.ink import Ink

SYMBOLS: dict[State, tuple[str, Ink]] = {
    "waiting": ("○", "dim"),
    "queued": ("◌", "dim"),
    "running": ("●", "accent"),
    "stopping": ("◐", "warn"),
    "done": ("✓", "good"),
    "stale": ("≠", "warn"),
    "failed": ("✗", "bad"),
    "cancelled": ("⊘", "warn"),
    "lost": ("?", "bad"),
}
