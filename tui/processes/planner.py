"""Has a plan made."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.contract.results.plan import Plan, PlanRequest, plan_of
from tui.processes.request import answered


def make_plan(request: PlanRequest) -> Plan:
    """Asks for a plan and waits for it: seconds.

    Raises:
        HeadwaterError: what the request is about is wrong, or not there.
    """
    asked = json.dumps(asdict(request))
    return plan_of(answered("pipeline.planning", "the plan could not be made", asked)["plan"])
