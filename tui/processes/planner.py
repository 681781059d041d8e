"""Has a plan made, by a process of its own: it needs the libraries that no screen loads."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.plan import Plan, PlanRequest, plan_of


def make_plan(request: PlanRequest) -> Plan:
    """Asks for a plan and waits for it: seconds.

    Raises:
        HeadwaterError: what the request is about is wrong, or not there.
    """
    command = python_command("-m", "pipeline.planning", json.dumps(asdict(request)))
    done = subprocess.run(
        command,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        env=child_environment(),
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise HeadwaterError(f"the plan could not be made: {last}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "plan" in answer:
        return plan_of(answer["plan"])
    error = HeadwaterError(answer["error"], answer["hint"])
    error.exit_code = answer["exit_code"]
    raise error
