"""Chooses what a stage's passes compute in: the fastest precision that moves no gradient far.

A gradient that moves by r of its length has a cosine of at least 1 − r²/2 with what it was, so the
bound of a twentieth leaves 0.9987. Scores are added up in float32 whatever is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch

from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.results.precision import Precision, read_precision, write_precision
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.preflight import log_line, preflight
from pipeline.influence.settled import AUTO, settled, with_precision

BOUND = 0.05
"""Largest movement of a gradient, as a share of its length, that a precision is chosen with."""

Candidate = tuple[str, bool]
"""amp_dtype, and whether TF32 is allowed."""


def settle_precision(
    analyzer: InfluenceAnalyzer, examples: TokenDataset, stage: str
) -> GradientErrors:
    """Chooses the precision of a stage's passes, or takes up what was chosen; measures it.

    `stage`: "factors" or "scores".
    """
    wanted = analyzer.wanted
    chosen = read_precision(analyzer.run, stage)
    measured: GradientErrors | None = None
    if chosen is None:
        found = candidates(wanted, stage, analyzer.kronfluence.model.device)
        chosen, measured = choose(analyzer, examples, stage, found)
        write_precision(analyzer.run, stage, chosen)
    analyzer.settings = settled(with_precision(wanted, stage, chosen), analyzer.run)
    if AUTO in (getattr(wanted, stage).amp_dtype, wanted.run.tf32):
        analyzer.note(chosen.sentence)
    if measured is None:
        measured = preflight(analyzer, examples, getattr(analyzer.settings, stage))
    analyzer.note(log_line(measured))
    return measured


def candidates(settings: Settings, stage: str, device: torch.device) -> list[Candidate]:
    """What the settings allow on the device, fastest first; the last one is taken unmeasured."""
    amp, tf32 = getattr(settings, stage).amp_dtype, settings.run.tf32
    gpu = device.type == "cuda"
    halves = ["bfloat16"] if gpu and torch.cuda.is_bf16_supported(including_emulation=False) else []
    passes = [*halves, "none"] if amp == AUTO else [amp]
    products = ([True, False] if gpu else [False]) if tf32 == AUTO else [bool(tf32)]
    return list(product(passes, products))


def choose(
    analyzer: InfluenceAnalyzer,
    examples: TokenDataset,
    stage: str,
    found: Sequence[Candidate],
) -> tuple[Precision, GradientErrors | None]:
    """The first of the candidates that moves no gradient beyond the bound, or else the last.

    And the errors measured with it; None where none had to be measured.
    """
    *measurable, (amp, tf32) = found
    if not measurable:
        kind = analyzer.kronfluence.model.device.type
        open_still = AUTO in (getattr(analyzer.wanted, stage).amp_dtype, analyzer.wanted.run.tf32)
        reason = f"there is nothing else on {kind}" if open_still else "the settings say so"
        return Precision(amp, tf32, reason), None
    movements: list[str] = []
    for candidate in measurable:
        section = getattr(analyzer.settings, stage)
        half = section.model_copy(update={"amp_dtype": candidate[0]})
        errors = preflight(analyzer, examples, half, tf32=candidate[1])
        moved = max(errors.precision, errors.batch_mates)
        if moved <= BOUND:
            reason = f"a gradient moves by {moved:.1%} of its length, {BOUND:.0%} are allowed"
            return Precision(*candidate, reason), errors
        movements.append(f"{moved:.0%} in {_told(candidate)}")
    reason = f"a gradient moves by more than {BOUND:.0%} of its length: {', '.join(movements)}"
    return Precision(amp, tf32, reason), None


def _told(candidate: Candidate) -> str:
    amp, tf32 = candidate
    return " and ".join([*([] if amp == "none" else [amp]), *(["TF32"] if tf32 else [])])
