"""A plan as a table, and its advice as settings that can be pasted."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator

from pipeline.contract.results.plan import Advice, Peak, Plan, StagePlan
from pipeline.contract.units import duration, size
from tui.printed.tables import Row, plain

_WIDTH = 96
_SMALL = 0.02
"""Share of a peak below which a part is not told."""


def plan_text(plan: Plan) -> str:
    """All of it, for reading."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    counts, hardware = plan.counts, plan.hardware
    yield (
        f"{counts.examples:,} examples, {counts.tokens:,} tokens, {counts.prompts:,} prompts: "
        f"by {counts.known_from}"
    )
    yield (
        f"{plan.parameters:,} parameters; {plan.modules:,} modules traced, a prompt's gradient of "
        f"them {size(plan.prompt_gradient)}"
    )
    yield (
        f"scores of all prompts in {plan.prompt_passes:,} passes over the data, "
        f"{plan.prompts_together:,} prompts in each"
    )
    several = f"{hardware.cards} × " if hardware.cards > 1 else ""
    yield (
        f"on {several}{hardware.name}: {size(hardware.capacity)}{' each' if several else ''}; "
        f"{size(hardware.disk)} of disk free"
    )
    yield ""
    yield plain([_row(stage) for stage in plan.by_stage])
    yield ""
    for stage in plan.by_stage:
        yield from textwrap.wrap(
            f"{stage.stage}: {_parts(stage.device or stage.host)}", _WIDTH, subsequent_indent="  "
        )
    yield ""
    yield from plan.notes
    for advice in plan.advice:
        yield ""
        yield from _advice(advice)


def _row(stage: StagePlan) -> Row:
    device = {"GPU memory": size(stage.device.bytes)} if stage.device else {}
    return {
        "stage": stage.stage,
        **device,
        "memory": size(stage.host.bytes),
        "passes": f"{stage.passes:.3g}",
        "about": duration(stage.seconds),
        "disk": size(stage.disk),
    }


def _parts(peak: Peak) -> str:
    told = [part for part in peak.parts if part.bytes >= _SMALL * peak.bytes]
    return f"{peak.phase}: " + ", ".join(f"{part.what} {size(part.bytes)}" for part in told)


def _advice(advice: Advice) -> Iterator[str]:
    """A comment and TOML below it."""
    yield from textwrap.wrap(advice.why, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    for section, values in advice.changes.items():
        yield f"[{section}]"
        yield from (f"{key} = {json.dumps(value)}" for key, value in values.items())
