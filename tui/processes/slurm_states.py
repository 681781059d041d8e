"""Reads what Slurm says of jobs: `scontrol show job --oneliner`, and `sacct` for older ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from pipeline.contract.files import open_regular
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import JobState

_FIELD = re.compile(r"(?:^|\s)([A-Z][A-Za-z/:]*)=(\S*)")
_NOTHING = ("None", "(null)", "N/A", "Unknown")
_DURATION = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")
_KILLED = 9
_OUT_OF_MEMORY = re.compile(rb"exceeded (job |step )?memory limit|oom[-_ ]kill", re.IGNORECASE)
_LOG_END = 1 << 14


def parse_scontrol(text: str) -> list[JobState]:
    """A state for each line; tasks of an array that still wait share one."""
    return [_of_fields(dict(_FIELD.findall(line))) for line in text.splitlines() if line.strip()]


def _of_fields(fields: dict[str, str]) -> JobState:
    code, _, signal = fields.get("ExitCode", "0:0").partition(":")
    array, task = fields.get("ArrayJobId"), fields.get("ArrayTaskId")
    return JobState(
        job=f"{array}_{task}" if array and task else fields["JobId"],
        state=fields["JobState"],
        reason=_or_nothing(fields.get("Reason", "")),
        nodes=_or_nothing(fields.get("NodeList", "")),
        exit_code=int(code),
        signal=int(signal or 0),
        seconds=_seconds(fields.get("RunTime", "")) or 0.0,
        limit=_seconds(fields.get("TimeLimit", "")),
        memory=fields.get("MinMemoryNode") or fields.get("MinMemoryCPU", ""),
    )


def parse_sacct(text: str) -> list[JobState]:
    """As `parse_scontrol`, of `--parsable2` lines of JobID, State, ExitCode, ElapsedRaw (s),
    TimelimitRaw (min), NodeList, ReqMem and Reason."""
    return list(_of_rows(line.split("|") for line in text.splitlines()))


def _of_rows(rows: Iterator[list[str]]) -> Iterator[JobState]:
    for row in rows:
        if len(row) != 8:
            continue
        job, state, codes, elapsed, limit, nodes, memory, reason = row
        code, _, signal = codes.partition(":")
        yield JobState(
            job=job,
            state=state.split()[0],  # "CANCELLED by 1000"
            reason=_or_nothing(reason),
            nodes="" if nodes == "None assigned" else nodes,
            exit_code=int(code),
            signal=int(signal or 0),
            seconds=float(elapsed),
            limit=float(limit) * 60 if limit.isdecimal() else None,
            memory=memory,
        )


def ended_for_memory(job: JobState, run: RunDir) -> JobState:
    """The job as OUT_OF_MEMORY where it was; Slurm without cgroups says so in its log alone."""
    if job.state != "FAILED" or job.signal != _KILLED:
        return job
    with suppress(OSError), open_regular(run.slurm / f"stages-{job.job}.log") as log:
        log.seek(max(0, log.seek(0, 2) - _LOG_END))
        if _OUT_OF_MEMORY.search(log.read()):
            return replace(job, state="OUT_OF_MEMORY")
    return job


def _or_nothing(value: str) -> str:
    return "" if value in _NOTHING else value


def _seconds(text: str) -> float | None:
    """Of [days-][hours:]minutes:seconds; None for UNLIMITED and its like."""
    if not (match := _DURATION.fullmatch(text)):
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
