"""Other scores by a run's own factors, in a folder of their own."""

from __future__ import annotations

import os

from pipeline.contract.run_dir import RunDir


def lend_factors(run: RunDir, to: RunDir, strategy: str) -> None:
    """Links the strategy's factors where Kronfluence looks for them when it scores into `to`."""
    factors = to.factors(strategy)
    if not factors.exists():
        factors.parent.mkdir(parents=True, exist_ok=True)
        own = os.path.relpath(run.factors(strategy), factors.parent)
        factors.symlink_to(own, target_is_directory=True)
