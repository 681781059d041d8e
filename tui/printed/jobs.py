"""The Slurm jobs of a run as a table: one line a job, or a task of an array."""

from __future__ import annotations

from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import JobState, read_job_states, read_submission
from pipeline.contract.units import duration
from tui.printed.tables import Row, plain


def jobs_text(run: RunDir) -> str:
    """The table; empty where nothing was submitted, or Slurm was not asked yet."""
    submission = read_submission(run)
    states = read_job_states(run) if submission else []
    rows = [
        _row(state, bool(submission and state.job == submission.stages_job)) for state in states
    ]
    return plain(rows) if rows else ""


def _row(state: JobState, runs_stages: bool) -> Row:
    return {
        "Slurm job": state.job,
        "does": "stages" if runs_stages else "helps",
        "state": state.state,
        "reason": state.reason,
        "node": state.nodes,
        "for": duration(state.seconds) if state.seconds else "",
        "limit": duration(state.limit) if state.limit else "",
    }
