"""What a validation found, as rows and as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.tables import Row, plain

TITLES = {
    "removal": "Removal: ln p of the completions drops by so much without the first examples of",
    "datamodeling": "Linear datamodeling score (1 = perfect, 0 = chance)",
    "tail_patch": "Tail patch: ln p of the completions rises by so much by one step on examples of",
    "stability": "Stability: rank correlation with the run's own ranking",
}
_VALUES = {"removal": "drop", "tail_patch": "gain"}


def rows(part: str, summary: Mapping[str, Any]) -> list[Row]:
    """A row a ranking; [] for a part that was not asked for or has no result.

    `low` and `high` are 95 % intervals; "more than" compares with random examples, or for the
    linear datamodeling score with BM25.
    """
    if part == "stability":
        refits = {f"other labels sampled ({n})": r for n, r in enumerate(summary["refits"], 1)}
        return [
            {
                "compared with": name,
                "mean": row["mean_correlation"],
                "least": row["least_correlation"],
                f"shared top {summary['stability_top']}": row["top_overlap"],
            }
            for name, row in {**summary["dampings"], **refits}.items()
        ]
    reference = "BM25" if part == "datamodeling" else "random"
    return [
        _row(name, found[_VALUES[part]] if part in _VALUES else found, found, reference)
        for name, found in ((summary[part] or {}).get("methods") or {}).items()
    ]


def _row(name: str, estimate: Mapping[str, Any], found: Mapping[str, Any], reference: str) -> Row:
    more = found["advantage"] or dict.fromkeys(("difference", "low", "high"))
    return {
        "ranking": name,
        "value": estimate["value"],
        "low": estimate["low"],
        "high": estimate["high"],
        f"more than {reference}": more["difference"],
        "low ": more["low"],
        "high ": more["high"],
    }


def text(summary: Mapping[str, Any]) -> str:
    """All parts as tables."""
    parts = [
        f"{title}\n\n{plain(found)}"
        for part, title in TITLES.items()
        if (found := rows(part, summary))
    ]
    return "\n\n".join(parts) or "nothing was asked for: see [validation] in settings.toml"
