"""Spectra as the inspect stage would leave them: three layers, two strategies, frozen values."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

import numpy as np

from pipeline.contract.results.lambda_maps import LambdaMap, lambda_map_writer
from pipeline.contract.results.spectra import (
    InspectSummary,
    Kind,
    Spectrum,
    SpectrumCurve,
    SpectrumStatistics,
    write_summary,
)
from pipeline.contract.results.spectra import (
    write_spectra as write_tables,
)
from pipeline.contract.run.run_dir import RunDir

MODULES = {"mlp.gate_proj": (48, 16), "mlp.down_proj": (16, 48)}
LAYERS = range(3)
SIDES: dict[Kind, int] = {"activation": 1, "gradient": 0}
MEANING = "eigenvalues of the covariance"


def write_spectra(run: RunDir, hostile: str = "") -> None:
    """Everything but the layers' pictures."""
    write_tables(run, _spectra(hostile))
    with lambda_map_writer(run) as write:
        for layer in LAYERS:
            write(_maps(layer, hostile))
    summary = InspectSummary(("ekfac", "diagonal"), tuple(LAYERS), len(LAYERS) * len(MODULES), ())
    write_summary(run, summary)


def _name(layer: int, short: str, hostile: str) -> str:
    return f"model.layers.{layer}.{short}{hostile}"


def _spectra(hostile: str) -> Iterator[tuple[Spectrum, SpectrumCurve]]:
    for layer in LAYERS:
        for short, shape in MODULES.items():
            name = _name(layer, short, hostile)
            for kind, side in SIDES.items():
                values = [3.0 / (n + 1) ** (1 + layer / 4) for n in range(shape[side])]
                yield _spectrum("ekfac", layer, name, kind, values)
            for strategy in ("ekfac", "diagonal"):
                values = sorted((v for line in _matrix(layer, shape) for v in line), reverse=True)
                yield _spectrum(strategy, layer, name, "lambda", values)


def _matrix(layer: int, shape: tuple[int, int]) -> list[list[float]]:
    outputs, inputs = shape
    return [
        [math.exp(-(6 + layer) * (o / outputs + i / inputs)) for i in range(inputs)]
        for o in range(outputs)
    ]


def _spectrum(
    strategy: str, layer: int, module: str, kind: Kind, values: list[float]
) -> tuple[Spectrum, SpectrumCurve]:
    total, shares, so_far = sum(values), [], 0.0
    for value in values:
        so_far += value
        shares.append(so_far / total)
    statistics = _statistics(values, shares)
    ranks = np.arange(1, len(values) + 1)
    curve = SpectrumCurve(ranks, np.array(values), np.array(shares))
    return Spectrum(strategy, layer, module, kind, statistics, MEANING), curve


def _statistics(values: list[float], shares: list[float]) -> SpectrumStatistics:
    total = sum(values)
    holding = {s: 1 + sum(x < s / 100 for x in shares) for s in (90, 95, 99)}
    return SpectrumStatistics(
        count=len(values),
        non_finite=0,
        negative=0,
        largest=values[0],
        smallest=values[-1],
        mean=total / len(values),
        median=float(np.median(values)),
        condition=values[0] / values[-1],
        rank=len(values),
        effective_rank=math.exp(-sum(v / total * math.log(v / total) for v in values)),
        participation_ratio=total**2 / sum(v * v for v in values),
        count_90=holding[90],
        count_95=holding[95],
        count_99=holding[99],
    )


def _maps(layer: int, hostile: str) -> dict[tuple[str, str], LambdaMap]:
    return {
        (strategy, _name(layer, short, hostile)): LambdaMap(
            *shape, *shape, array("f", [v for line in _matrix(layer, shape) for v in line])
        )
        for short, shape in MODULES.items()
        for strategy in ("ekfac", "diagonal")
    }
