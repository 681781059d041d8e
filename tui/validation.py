"""What a validation found, as rows and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui.readers.evaluation import Interval
from tui.tables import Row, plain

TITLES = {
    "removal": "Removal: ln p of the completions drops by so much without the first examples of",
    "datamodeling": "Linear datamodeling score (1 = perfect, 0 = chance)",
    "tail_patch": "Tail patch: ln p of the completions rises by so much by one step on examples of",
    "stability": "Stability: rank correlation with the run's own ranking",
}
_VALUES = {"removal": "drop", "tail_patch": "gain"}


@dataclass(frozen=True)
class Proof:
    """A ranking, or a scoring again, under one proof; intervals are of 95 %."""

    part: str
    name: str
    estimate: Interval
    """For stability the mean over the prompts, and the least of them with no upper end."""
    reference: str = ""
    """What it is compared with: random examples, or BM25's scores."""
    more: Interval | None = None
    """By how much it is more than the reference's; None where there is no telling."""
    shared: float | None = None
    """Of the first examples, the share that both fits name; stability alone."""


def proofs(part: str, summary: Mapping[str, Any]) -> list[Proof]:
    """One a ranking; [] for a part that was not asked for or has no result."""
    if part == "stability":
        refits = {f"other labels sampled ({n})": r for n, r in enumerate(summary["refits"], 1)}
        return [
            Proof(
                part,
                name,
                Interval(found["mean_correlation"], found["least_correlation"], None),
                shared=found["top_overlap"],
            )
            for name, found in {**summary["dampings"], **refits}.items()
        ]
    reference = "BM25" if part == "datamodeling" else "random"
    return [
        Proof(
            part,
            name,
            _interval(found[_VALUES[part]] if part in _VALUES else found, "value"),
            reference,
            _interval(found["advantage"], "difference") if found["advantage"] else None,
        )
        for name, found in ((summary[part] or {}).get("methods") or {}).items()
    ]


def _interval(found: Mapping[str, Any], value: str) -> Interval:
    return Interval(found[value], found["low"], found["high"])


def rows(part: str, summary: Mapping[str, Any]) -> list[Row]:
    """A part as a table."""
    top = summary["stability_top"]
    return [_row(proof, top) for proof in proofs(part, summary)]


def _row(proof: Proof, top: int) -> Row:
    one, more = proof.estimate, proof.more
    if proof.part == "stability":
        return {
            "compared with": proof.name,
            "mean": one.value,
            "least": one.low,
            f"shared top {top}": proof.shared,
        }
    return {
        "ranking": proof.name,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        f"more than {proof.reference}": more and more.value,
        "low ": more and more.low,
        "high ": more and more.high,
    }


def text(summary: Mapping[str, Any]) -> str:
    """All parts as tables."""
    parts = [
        f"{title}\n\n{plain(found)}"
        for part, title in TITLES.items()
        if (found := rows(part, summary))
    ]
    return "\n\n".join(parts) or "nothing was asked for: see [validation] in settings.toml"
