"""The precision that a stage of influence computes in: chosen once, so that a resumed pass goes on
in it.

File: `<stage>/precision.json`, of factors and of scores.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.contract.results.common import read_record, was_written, write_record
from pipeline.contract.run.run_dir import RunDir


@dataclass(frozen=True)
class Precision:
    """The content of `<stage>/precision.json`."""

    amp_dtype: str
    """Of the network's passes, as the settings name it."""
    tf32: bool
    """Whether products of float32 numbers may be in TF32."""
    why: str
    """Why, for a person."""

    @property
    def sentence(self) -> str:
        """What was chosen and why."""
        passes = "float32" if self.amp_dtype == "none" else self.amp_dtype
        return f"passes in {passes}{', products in TF32' if self.tf32 else ''}: {self.why}"


def write_precision(run: RunDir, stage: str, precision: Precision) -> None:
    """Writes what a stage has chosen."""
    run.precision(stage).parent.mkdir(parents=True, exist_ok=True)
    write_record(run.precision(stage), precision)


def read_precision(run: RunDir, stage: str) -> Precision | None:
    """What a stage has chosen; None where it has not yet.

    Raises:
        MissingResultError: the stage wrote it, and it is gone.
        DamagedResultError: the file holds something else.
    """
    path = run.precision(stage)
    return read_record(run, stage, path, Precision) if was_written(run, stage, path) else None
