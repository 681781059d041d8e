"""proofs.jsonl: what trainings without some examples, or single steps on them, showed.

A line a claim that was tested, the newest last; it lies beside the stages' folders and stays. NumPy
is not needed to read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.files import append_json_lines, read_json_lines
from pipeline.contract.results import common
from pipeline.contract.results.common import Loaded
from pipeline.contract.results.verdict import BETTER, UNDECIDED, Difference, Estimate, verdict
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.proving import Claim
from pipeline.contract.run.run_dir import RunDir

STAGE = "prove"
READ = ("train", "scores")
"""The stages whose results a proof is of."""


@dataclass(frozen=True)
class Effects:
    """How much less likely the completion is without examples; for steps: how much a step adds."""

    marked: Estimate
    """Of the examples that were to be proven; nats, over the seeds, or over the examples where
    steps were taken. The interval is Student's t."""
    matched: Estimate
    """Of as many of the same length and gradient size."""
    random: Estimate
    """Of as many at random."""
    over_matched: Difference
    """marked − matched, pair by pair: the same seed, or an example and the one matched to it."""
    over_random: Difference


@dataclass(frozen=True)
class Proof:
    """A claim that was tested."""

    claim: Claim
    effects: Effects
    before: float
    """ln p of the completion under the model with every example, a mean over the seeds; nats."""
    trainings: int
    """Trainings that were done for it; others had been kept. 0 for steps."""
    failed: int
    """Seeds of which a training diverged: they are left out."""
    made_of: Mapping[str, str]
    """The finish of each stage of READ that it is of."""
    proven_at: float
    """Seconds since the epoch."""

    @property
    def conclusion(self) -> str:
        """`they taught it`, `they held it back` or `no difference shown`."""
        found = verdict(self.effects.over_matched)
        if found == UNDECIDED:
            return found
        one = len(self.claim.examples) == 1
        if found == BETTER:
            return "it taught it" if one else "they taught it"
        return "it held it back" if one else "they held it back"

    def __str__(self) -> str:
        """`Without these 5 the answer's ln p falls by 3.1 nats (2.6 to 3.7); without 5 matched ones
        by 0.4 (0.1 to 0.7): they taught it`"""
        count = len(self.claim.examples)
        these, others = ("this 1", "1 matched one") if count == 1 else (
            f"these {count:,}", f"{count:,} matched ones"
        )  # fmt: skip
        own, beside, what = self.effects.marked, self.effects.matched, self.claim.measured
        if self.claim.by_steps:
            text = f"One step on each of {these} changes {what} by {_signed(own)}"
            return f"{text}; on {others} by {_signed(beside, '')}: {self.conclusion}"
        text = f"Without {these} {what} {_moves(own)}"
        return f"{text}; without {others} it {_moves(beside, '')}: {self.conclusion}"

    def record(self) -> dict[str, object]:
        """What JSON says of it."""
        return {"sentence": str(self), "verdict": self.conclusion, **asdict(self)}


def _moves(drop: Estimate, unit: str = " nats") -> str:
    """`falls by 3.1 nats (2.6 to 3.7)`; the interval is turned with the direction."""
    value, low, high = drop.value, drop.low, drop.high
    word = "falls"
    if value < 0:
        word, value = "rises", -value
        low, high = (None if end is None else -end for end in (high, low))
    return f"{word} by {value:.2f}{unit}{_interval(low, high, 'z.2f')}"


def _signed(gain: Estimate, unit: str = " nats") -> str:
    return f"{gain.value:+.2g}{unit}{_interval(gain.low, gain.high, '+z.2g')}"


def _interval(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f" ({low:{form}} to {high:{form}})"


def append_proof(run: RunDir, proof: Proof) -> None:
    """Keeps a proof."""
    append_json_lines(run.proofs, [asdict(proof)])


def read_proofs(run: RunDir) -> Sequence[Proof]:
    """All that was proven, in its order; empty where nothing was.

    Raises:
        DamagedResultError: a line is not what `append_proof` writes.
    """
    with common.readable(run, STAGE, run.proofs):
        lines = list(read_json_lines(run.proofs))
    return common.checked(run, STAGE, run.proofs, tuple[Proof, ...], lines)


def load_proofs(run: RunDir, prompt_id: str | None = None) -> list[Loaded[Proof]]:
    """The newest proof of each claim, of one prompt or of all, newest first, and whether the model
    and the scores are still those that it is of; the errors are those of `read_proofs`."""
    newest = {_key(proof.claim): proof for proof in read_proofs(run)}
    found = [proof for proof in newest.values() if prompt_id in (None, proof.claim.prompt)]
    now = current(run) if found else {}
    found.sort(key=lambda proof: proof.proven_at, reverse=True)
    return [Loaded(proof, proof.made_of == now) for proof in found]


def current(run: RunDir) -> Mapping[str, str]:
    """The finishes that a proof made now is of; {} where one is missing or not up to date."""
    from pipeline.contract.settings.loading import load_settings  # pydantic takes a while

    try:
        now = RunFreshness(load_settings(run.settings), run)
        if not all(map(now.is_fresh, READ)):
            return {}
        return {name: done.id for name in READ if (done := now.done(name))}
    except HeadwaterError:  # settings that cannot be read are not those that were proven
        return {}


def _key(claim: Claim) -> tuple[str, tuple[str, ...], bool]:
    return claim.prompt, claim.examples, claim.by_steps
