"""What was proven, for reading at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.contract.results.common import Loaded
from pipeline.contract.results.proofs import Proof
from pipeline.contract.results.verdict import Difference, Estimate
from tui.printed.tables import plain
from tui.readers.clean import clean


def proof_text(proof: Proof) -> str:
    """The verdict in a sentence, the figures behind it, and how it was found."""
    effects = proof.effects
    what = "gain of ln p by steps on" if proof.claim.by_steps else "drop of ln p without"
    figures: Sequence[tuple[str, Estimate | Difference]] = (
        (f"the {len(proof.claim.examples):,} examples", effects.marked),
        ("as many matched ones", effects.matched),
        ("as many random ones", effects.random),
        ("difference to matched", effects.over_matched),
        ("difference to random", effects.over_random),
    )
    rows = [{what: name, **_row(figure)} for name, figure in figures]
    lines = [f"{proof}.", "", plain(rows), "", clean(_how(proof))]
    return "\n".join(lines)


def _row(figure: Estimate | Difference) -> dict[str, object]:
    value = figure.value if isinstance(figure, Estimate) else figure.difference
    return {"nats": value, "low": figure.low, "high": figure.high, "n": figure.n}


def _how(proof: Proof) -> str:
    pairs = "example and its matched one" if proof.claim.by_steps else "seed"
    lost = f"; {proof.failed} seeds left out: a training diverged" if proof.failed else ""
    return (
        f"{proof.claim.origin}; ln p with every example {proof.before:.2f}; 95 % t-intervals, "
        f"differences paired by {pairs}{lost}"
    )


def verdict_lines(proofs: Sequence[Loaded[Proof]]) -> list[str]:
    """A line a proof: of which examples, and its sentence; whether it is stale."""
    return [
        clean(
            f"put to the test, {one.value.claim.origin}: {one.value}.{'' if one.fresh else STALE}"
        )
        for one in proofs
    ]


STALE = " ≠ stale: the model or the scores have changed since"
