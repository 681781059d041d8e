"""Spectra as the inspect stage would leave them: three layers, two strategies, frozen values."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract.run.run_dir import RunDir

MODULES = {"mlp.gate_proj": (48, 16), "mlp.down_proj": (16, 48)}
LAYERS = range(3)
SIDES = {"activation": 1, "gradient": 0}


def write_spectra(run: RunDir, hostile: str = "") -> None:
    """modules.csv, eigenvalues.parquet and lambda_maps.parquet."""
    rows = list(_rows(hostile))
    run.module_table.parent.mkdir(parents=True, exist_ok=True)
    figures = [_figures(row) for row in rows]
    with run.module_table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(figures[0]))
        writer.writeheader()
        writer.writerows(figures)
    pq.write_table(pa.Table.from_pylist(rows), run.eigenvalues)
    maps = [_map(row) for row in rows if row["kind"] == "lambda"]
    pq.write_table(pa.Table.from_pylist(maps), run.lambda_maps)


def _rows(hostile: str) -> Iterator[dict[str, Any]]:
    for layer in LAYERS:
        for short, shape in MODULES.items():
            place = {"layer": layer, "module": f"model.layers.{layer}.{short}{hostile}"}
            for kind, side in SIDES.items():
                values = [3.0 / (n + 1) ** (1 + layer / 4) for n in range(shape[side])]
                yield {"strategy": "ekfac", **place, "kind": kind, **_spectrum(values)}
            for strategy in ("ekfac", "diagonal"):
                values = sorted((v for line in _matrix(layer, shape) for v in line), reverse=True)
                yield {"strategy": strategy, **place, "kind": "lambda", **_spectrum(values)}


def _matrix(layer: int, shape: tuple[int, int]) -> list[list[float]]:
    outputs, inputs = shape
    return [
        [math.exp(-(6 + layer) * (o / outputs + i / inputs)) for i in range(inputs)]
        for o in range(outputs)
    ]


def _spectrum(values: list[float]) -> dict[str, Any]:
    total, shares, so_far = sum(values), [], 0.0
    for value in values:
        so_far += value
        shares.append(so_far / total)
    ranks = list(range(1, len(values) + 1))
    return {"count": len(values), "ranks": ranks, "values": values, "cumulative": shares}


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    values, shares = row["values"], row["cumulative"]
    total = sum(values)
    spread = math.exp(-sum(v / total * math.log(v / total) for v in values))
    return {
        **{name: row[name] for name in ("strategy", "layer", "module", "kind", "count")},
        "non_finite": 0,
        "negative": 0,
        "largest": values[0],
        "smallest": values[-1],
        "mean": total / len(values),
        "condition": values[0] / values[-1],
        "rank": len(values),
        "effective_rank": spread,
        "participation_ratio": total**2 / sum(v * v for v in values),
        **{f"count_{s}": 1 + sum(x < s / 100 for x in shares) for s in (90, 95, 99)},
        "meaning": "eigenvalues of the covariance",
    }


def _map(row: dict[str, Any]) -> dict[str, Any]:
    short = next(name for name in MODULES if name in row["module"])
    shape = MODULES[short]
    values = [v for line in _matrix(row["layer"], shape) for v in line]
    return {
        **{name: row[name] for name in ("strategy", "module")},
        **dict(zip(("outputs", "inputs"), shape, strict=True)),
        **dict(zip(("rows", "columns"), shape, strict=True)),
        "values": values,
    }
