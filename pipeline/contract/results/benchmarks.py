"""What the benchmark stage found: the models' scores on public benchmarks."""

from __future__ import annotations

from collections.abc import Mapping

WHOLE = "all tasks"
"""The task of a score over all tasks of a benchmark."""

SCORINGS: Mapping[str, str] = {
    "letters": "letters",
    "texts": "texts",
    "texts_by_length": "texts by length",
    "texts_mass": "probability",
    "written": "written",
    "written_f1": "written, F1",
    "written_share": "written, rules",
}
"""How answers are scored, for reading."""
