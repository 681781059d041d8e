"""What was proven of a ranking's examples, above the ranking."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from textual.content import Content

from pipeline.contract.results.common import Loaded
from pipeline.contract.results.proofs import Proof
from pipeline.contract.results.verdict import UNDECIDED
from tui.readers.clean import clean

SHOWN = 1
"""The newest verdict stands above the ranking; of the others their number."""


def verdict_text(proofs: Sequence[Loaded[Proof]]) -> Content:
    """`✓ Without these 5 the answer's ln p falls by …: they taught it`; empty where nothing was.

    Which examples they are stands behind it.
    """
    lines = [_line(found) for found in proofs[:SHOWN]]
    if (more := len(proofs) - SHOWN) > 0:
        lines.append(Content.styled(f"and {more} more; `headwater rank` lists them", "$secondary"))
    return Content("\n").join(lines)


def _line(found: Loaded[Proof]) -> Content:
    proof = found.value
    told = clean(f"{proof} ({proof.claim.origin})", 400)
    if not found.fresh:
        return Content.styled(f"≠ stale: {told}", "$warning")
    if proof.conclusion == UNDECIDED:
        return Content.styled(f"? {told}", "$secondary")
    return Content.styled(f"✓ {told}", "$success")


def proofs_of(proofs: Collection[Loaded[Proof]], example: str) -> list[Loaded[Proof]]:
    """Those in which an example was left out."""
    return [found for found in proofs if example in found.value.claim.examples]
