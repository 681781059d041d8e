"""What a validation found, as tables and as text."""

from __future__ import annotations

from pipeline.contract.results.validation import (
    PARTS,
    REFERENCES,
    TITLES,
    Finding,
    Part,
    ValidationSummary,
    findings,
)
from pipeline.contract.results.verdict import verdict
from tui.printed.tables import Row, plain


def rows(part: Part, summary: ValidationSummary) -> list[Row]:
    """A part as a table; [] for one that was not asked for or has no result."""
    top = summary.stability_top
    return [_row(finding, top) for finding in findings(summary, part)]


def _row(finding: Finding, top: int) -> Row:
    estimate, more = finding.estimate, finding.advantage
    if finding.agreement:
        return {
            "compared with": finding.name,
            "mean": estimate.value,
            "least": estimate.low,
            f"shared top {top}": finding.agreement.top_overlap,
        }
    return {
        "ranking": finding.name,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        f"more than {REFERENCES[finding.part]}": more and more.difference,
        "low ": more and more.low,
        "high ": more and more.high,
        "p": more and more.p_value,
        "verdict": more and verdict(more),
    }


def text(summary: ValidationSummary) -> str:
    """All parts as tables."""
    parts = [
        f"{TITLES[part]}\n\n{plain(table)}" for part in PARTS if (table := rows(part, summary))
    ]
    return "\n\n".join(parts) or "nothing was asked for: see [validation] in settings.toml"
