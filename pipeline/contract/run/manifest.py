"""When a run was made and from which, as its manifest says: a copied folder keeps that, unlike
times of files."""

from __future__ import annotations

from datetime import datetime

from pipeline.contract.files import read_object
from pipeline.contract.run.run_dir import RunDir, list_runs

CREATED = "%Y-%m-%dT%H:%M:%S%z"
"""How the manifest writes the time."""
CLONED_FROM = "cloned_from"
"""Under which it names the run whose settings were taken."""


def made_at(run: RunDir) -> float | None:
    """Seconds since the epoch; None where there is no manifest, or it does not say."""
    created = (read_object(run.manifest) or {}).get("created")
    try:
        return datetime.strptime(str(created), CREATED).timestamp()
    except (ValueError, OverflowError):
        return None


def cloned_from(run: RunDir) -> RunDir | None:
    """The run beside it whose settings it was made with; None where there is none, or no more."""
    name = (read_object(run.manifest) or {}).get(CLONED_FROM)
    there = {other.name: other for other in list_runs(run.root.resolve().parent)}
    return there.get(name) if isinstance(name, str) else None
