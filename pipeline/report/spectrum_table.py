"""eigenvalue_analysis.txt: one layer's spectra as a table for reading."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.contract.results.spectra import Spectrum, SpectrumStatistics

_MISSING = "–"
_LEGEND = """\
90/95/99 %      how many of the largest eigenvalues hold that share of the sum
condition       largest / smallest; – where the smallest is within round-off of 0
rank            how many are above round-off
effective       exp of the entropy of the shares of the sum (Roy & Vetterli 2007)
participation   (sum of the eigenvalues)² / sum of their squares
negative        below 0, which in a covariance comes from round-off only
Covariances are means over tokens; Λ of ekfac and diagonal is a mean over examples.
"""
_HEADER = (
    "kind", "count", "largest", "smallest", "mean", "median", "condition", "rank",
    "effective", "participation", "90 %", "95 %", "99 %", "negative", "not finite",
)  # fmt: skip


def spectrum_table(layer: int, spectra: Sequence[Spectrum]) -> str:
    """The table, a block a strategy and module, with a legend."""
    blocks = [f"Eigenvalue analysis, layer {layer}\n"]
    names = dict.fromkeys((spectrum.strategy, spectrum.module) for spectrum in spectra)
    for strategy, module in names:
        own = [s for s in spectra if (s.strategy, s.module) == (strategy, module)]
        meanings = "".join(f"  {s.kind}: {s.meaning}\n" for s in own)
        lines = _aligned([_HEADER, *(_row(s.kind, s.statistics) for s in own)])
        blocks.append(f"{strategy} · {module}\n{meanings}{lines}")
    return "\n".join([*blocks, _LEGEND])


def number(value: float | None) -> str:
    """Four significant digits; – for a figure that there is not."""
    return _MISSING if value is None else f"{value:.4g}"


def _row(kind: str, statistics: SpectrumStatistics) -> tuple[str, ...]:
    f = statistics
    real = (f.largest, f.smallest, f.mean, f.median, f.condition)
    return (
        kind, str(f.count), *map(number, real), str(f.rank), number(f.effective_rank),
        number(f.participation_ratio), *(_MISSING if c is None else str(c) for c in
        (f.count_90, f.count_95, f.count_99)), str(f.negative), str(f.non_finite),
    )  # fmt: skip


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
    return "".join(f"  {line}\n" for line in lines)
