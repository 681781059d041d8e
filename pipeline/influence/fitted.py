"""A run's fitted factors: that they are still there, and lent to other scores."""

from __future__ import annotations

import os

from pipeline.contract.errors import MissingResultError
from pipeline.contract.run_dir import RunDir


def require_factors(run: RunDir, strategy: str) -> None:
    """Factors are large: they may have been removed for their room.

    Raises:
        MissingResultError: there are none.
    """
    if not run.factors(strategy).exists():
        hint = f"`headwater run factors --force --run {run.name}` fits them again"
        raise MissingResultError(f"there are no factors in {run.factors(strategy)}", hint)


def lend_factors(run: RunDir, to: RunDir, strategy: str) -> None:
    """Links the strategy's factors where Kronfluence looks for them when it scores into `to`.

    Raises:
        MissingResultError: there are none.
    """
    require_factors(run, strategy)
    factors = to.factors(strategy)
    if not factors.exists():
        factors.parent.mkdir(parents=True, exist_ok=True)
        own = os.path.relpath(run.factors(strategy), factors.parent)
        factors.symlink_to(own, target_is_directory=True)
