"""Reads a run of Headwater in Python.

    import headwater

    run = headwater.open_run("runs/demo")
    run.rank("fact-000", top=5).to_pandas()
    run.scores["ekfac"]                         # NumPy, [prompts, examples], memory-mapped
    run.ask("Ras Drenol plays the").examples.to_polars()

Whatever is missing or damaged raises a `HeadwaterError` that says what to do. Opening a run is
instant; files are read when they are asked for.
"""

from headwater.run import Answer, Run, ScoreTable, open_run
from headwater.table import Table
from pipeline.contract.errors import DamagedResultError, HeadwaterError, MissingResultError

__all__ = [
    "Answer",
    "DamagedResultError",
    "HeadwaterError",
    "MissingResultError",
    "Run",
    "ScoreTable",
    "Table",
    "open_run",
]
