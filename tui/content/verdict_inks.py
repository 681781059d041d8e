"""The inks of verdicts."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.contract.results.verdict import BETTER, UNDECIDED, WORSE, Verdict
from tui.content.ink import Ink

VERDICT_INKS: Mapping[Verdict, Ink] = {BETTER: "good", WORSE: "bad", UNDECIDED: "dim"}
