"""A plan as one would be made, of a run's own settings."""

from __future__ import annotations

from pipeline.contract.results.plan import (
    Advice,
    Counts,
    Hardware,
    Part,
    Peak,
    Plan,
    StagePlan,
    plan_digest,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings


def small_plan(settings: Settings, run: RunDir, *advice: Advice) -> Plan:
    """Of a stage alone: factors in 95 seconds and 3 GiB."""
    host = Peak("ekfac lambda", (Part("weights", 3 * 2**30), Part("a crumb", 1)))
    return Plan(
        hardware=Hardware("CPU", "cpu", 2**34, 2**34, 2**40, "the test"),
        counts=Counts(400, 8_000, 64, 50, "the test"),
        parameters=10**6,
        modules=9,
        prompt_gradient=2**20,
        prompt_passes=2,
        prompts_together=25,
        by_stage=(StagePlan("factors", host, None, 2, 95.0, 2**20),),
        advice=advice,
        notes=("a note",),
        settings_digest=plan_digest(run, settings),
    )
