"""Two runs side by side: settings that differ, losses, answers, benchmarks."""

from __future__ import annotations

from typing import Any

from pipeline.contract.files import read_json
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import Settings, load_settings
from pipeline.contract.stages import is_fresh

Row = dict[str, Any]


def settings_rows(first: RunDir, second: RunDir) -> list[Row]:
    """Settings in which the runs differ."""
    a, b = (load_settings(run.settings) for run in (first, second))
    return [
        {"setting": f"{section}.{key}", first.name: str(one), second.name: str(other)}
        for section in Settings.model_fields
        for key, one in getattr(a, section).model_dump().items()
        if one != (other := getattr(getattr(b, section), key))
    ]


def result_rows(first: RunDir, second: RunDir) -> list[Row]:
    """Results that either run has and that are up to date; None where one lacks it."""
    a, b = _results(first), _results(second)
    return [
        {
            "result": name,
            first.name: a.get(name),
            second.name: b.get(name),
            "change": b[name] - a[name] if name in a and name in b else None,
        }
        for name in dict.fromkeys([*a, *b])
    ]


def _results(run: RunDir) -> dict[str, float]:
    settings = load_settings(run.settings)
    found: dict[str, float] = {}
    summaries = {
        stage: read_json(run.summary(stage)) or {}
        for stage in ("train", "scores", "evaluate", "benchmark")
        if is_fresh(stage, settings, run)
    }
    for key in ("base_validation_loss", "validation_loss", "train_loss"):
        if (value := summaries.get("train", {}).get(key)) is not None:
            found[key.replace("_", " ")] = value
    for method, row in (summaries.get("scores", {}).get("evaluation") or {}).items():
        found[f"MRR, {method}"] = row["mrr"]
    for row in summaries.get("evaluate", {}).get("metrics") or []:
        found[f"{row['title']}, trained"] = row["trained"]
    for row in summaries.get("benchmark", {}).get("scores") or []:
        name = f"{row['benchmark']} {row['task']}, {row['scored_by']}, {row['model']}"
        found[name] = row["value"]
    return found
