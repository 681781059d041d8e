"""prove: did these examples teach that answer?

Reads the claim that a person has made, trains the model again without its examples, without as many
that are like them and without as many random ones, and adds what that shows to what was proven
before: see `contract/results/proofs.py`. No training is done twice: one serves every prompt.
"""

from __future__ import annotations

from pipeline.contract.results.proofs import append_proof
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.proving import read_claim
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.memory import exhaustion_explained
from pipeline.validation.proving import Prover

_MEMORY_ADVICE = "lower train.batch_tokens, or set train.gradient_checkpointing = true"


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Tests the claim and keeps what it showed.

    Raises:
        UsageError: there is no claim, or it cannot be tested.
        HeadwaterError: every training diverged.
        ResourceError: out of memory.
    """
    claim = read_claim(run)
    events.doing("reading the examples")
    with exhaustion_explained(_MEMORY_ADVICE):
        proof = Prover(settings, run, events).prove(claim)
    append_proof(run, proof)
    events.note(str(proof))
