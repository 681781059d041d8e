"""When a run was made, as its manifest says: a copied folder keeps that, unlike times of files."""

from __future__ import annotations

from datetime import datetime

from pipeline.contract.files import read_object
from pipeline.contract.run.run_dir import RunDir

CREATED = "%Y-%m-%dT%H:%M:%S%z"
"""How the manifest writes the time."""


def made_at(run: RunDir) -> float | None:
    """Seconds since the epoch; None where there is no manifest, or it does not say."""
    created = (read_object(run.manifest) or {}).get("created")
    try:
        return datetime.strptime(str(created), CREATED).timestamp()
    except (ValueError, OverflowError):
        return None
