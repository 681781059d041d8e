"""Checks the machine (driver, CUDA, disk, hub, terminal, versions) and advises what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.container import usable_cpus
from pipeline.contract.gpus import GpuReader
from pipeline.contract.units import size
from tui.readers.mounts import ends_with_container, in_container, nearest

Level = Literal["ok", "warn", "fail"]
_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
_TORCH_PROBE = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "torch": torch.__version__, "built_for": torch.version.cuda, "available": cuda,
    "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count() * cuda)],
    "bf16": cuda and torch.cuda.is_bf16_supported(), "threads": torch.get_num_threads(),
}))
"""
_NEEDED_DISK = 10 * 1024**3
_HUB_TIMEOUT_S = 4


@dataclass(frozen=True)
class Check:
    """The result of one check; `advice` says what to do about it."""

    name: str
    level: Level
    finding: str
    advice: str = ""

    def line(self) -> str:
        """The finding as text, with the advice below it."""
        text = f"{_MARKS[self.level]}  {self.name:<10}{self.finding}"
        return f"{text}\n{'':16}{self.advice}" if self.advice else text


def checks(runs: Path) -> list[Check]:
    """Every check, in the order a person would want to read them."""
    plan: list[Callable[[], Check]] = [
        _python,
        _packages,
        _driver,
        _torch,
        lambda: _disk(runs),
        _memory,
        _hub,
        _sandbox,
        _slurm,
        _terminal,
        _process,
    ]
    return [check() for check in plan]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version} at {sys.executable}")


def _packages() -> Check:
    names = (
        "headwater",
        "transformers",
        "datasets",
        "kronfluence",
        "accelerate",
        "peft",
        "textual",
    )
    versions = [f"{name} {metadata.version(name)}" for name in names]
    try:
        versions.append(f"bitsandbytes {metadata.version('bitsandbytes')}")
    except metadata.PackageNotFoundError:
        versions.append("no bitsandbytes, which model.quantization needs")
    return Check("packages", "ok", ", ".join(versions))


def _driver() -> Check:
    reader = GpuReader(environment=os.environ)
    devices = reader.read()
    if not devices:
        advice = "without a GPU everything runs on the CPU; in a container start with --gpus all"
        level: Level = "fail" if "uninstall" in reader.trouble else "warn"
        return Check("driver", level, reader.trouble, advice)
    lost = [f"gpu {gpu.index}: {gpu.trouble}" for gpu in devices if gpu.trouble]
    told = f"{reader.driver_version()}, {len(devices)} GPU(s)"
    if lost:
        advice = "the others can be used: CUDA_VISIBLE_DEVICES names them"
        return Check("driver", "warn", f"{told}; {'; '.join(lost)}", advice)
    return Check("driver", "ok", told)


def _torch() -> Check:
    probe = subprocess.run(
        python_command("-c", _TORCH_PROBE),
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode != 0:
        last = probe.stderr.strip().splitlines()[-1:] or ["it died"]
        return Check("torch", "fail", f"does not import: {last[0]}", "install the project again")
    facts = json.loads(probe.stdout)
    if facts["available"]:
        kind = "bfloat16" if facts["bf16"] else "no bfloat16"
        return Check("torch", "ok", f"{facts['torch']}, {', '.join(facts['devices'])}, {kind}")
    advice = (
        "the driver is too old or hidden for this build: update it, or check --gpus all"
        if Path("/dev/nvidiactl").exists()
        else ""
    )
    finding = f"{facts['torch']} on the CPU with {facts['threads']} threads"
    return Check("torch", "warn" if advice else "ok", finding, advice)


def _disk(runs: Path) -> Check:
    folder = nearest(runs)
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return Check(
            "disk", "fail", f"{folder} cannot be written", "choose another with --runs DIR"
        )
    if in_container() and ends_with_container(folder):
        finding = f"{size(free)} free in {folder}, which is removed with the container"
        return Check("disk", "warn", finding, f'mount a folder: -v "$PWD:{folder}"')
    if free < _NEEDED_DISK:
        advice = "a 1.1 B-parameter model with its factors takes about 40 GiB; the demo 100 MiB"
        return Check("disk", "warn", f"{size(free)} free in {folder}", advice)
    return Check("disk", "ok", f"{size(free)} free in {folder}")


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shared = shutil.disk_usage("/dev/shm").total
    finding = f"{size(total)}, {size(shared)} of it shared, {usable_cpus()} CPUs"
    return Check("memory", "ok", finding)


def _hub() -> Check:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    advice = 'local files work without it: data.source = "local", and folders as model names'
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return Check("hub", "warn", "HF_HUB_OFFLINE is set: the hub is not asked", advice)
    try:
        with urllib.request.urlopen(endpoint, timeout=_HUB_TIMEOUT_S):
            return Check("hub", "ok", f"{endpoint} answers")
    except urllib.error.HTTPError as error:
        return Check("hub", "warn", f"{endpoint} answers with {error.code}", advice)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        return Check("hub", "warn", f"{endpoint} does not answer ({reason})", advice)


def _sandbox() -> Check:
    probe = subprocess.run(
        python_command("-m", "pipeline.evaluation.sandbox"),
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    wall, told = probe.stdout.strip(), "code that models write (humaneval) is confined by"
    if probe.returncode == 0:
        return Check("sandbox", "ok", f"{told} {wall} and seccomp")
    advice = "install bubblewrap (apt install bubblewrap); nothing else needs it"
    return Check("sandbox", "warn", "nothing here confines code, so humaneval is refused", advice)


def _slurm() -> Check:
    if path := shutil.which("sbatch"):
        return Check("slurm", "ok", f"{path}: `headwater submit RUN --slurm` uses the cluster")
    return Check("slurm", "ok", "no sbatch here: `headwater submit` needs a cluster's login node")


def _terminal() -> Check:
    term, columns_rows = os.environ.get("TERM", "none"), shutil.get_terminal_size()
    unicode = "UTF-8" if "utf" in (sys.stdout.encoding or "").lower() else "no UTF-8"
    where = " in tmux" if "TMUX" in os.environ else ""
    finding = f"{term}{where}, {columns_rows.columns}×{columns_rows.lines}, {unicode}"
    if term in ("xterm", "linux", "dumb", "none"):
        return Check(
            "terminal", "warn", finding, "16 colours or fewer: TERM=xterm-256color gives more"
        )
    if columns_rows.columns < 80 or columns_rows.lines < 24:
        return Check("terminal", "warn", finding, "the dashboard needs 80×24")
    return Check("terminal", "ok", finding)


def _process() -> Check:
    from tui.terminal import end_of_stages  # textual takes a quarter of a second to import

    if ending := end_of_stages(os.environ, os.getpid()):
        return Check("process", "warn", ending)
    until = " until the container ends" if in_container() else ""
    return Check("process", "ok", f"stages outlive this terminal{until}")
