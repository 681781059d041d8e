"""Makes a run folder: checks settings and prompts, then copies what the run will replay."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import tomlkit

from pipeline.contract.errors import RunBusyError, SettingsError, disk_errors_explained
from pipeline.contract.files import write_json, write_text
from pipeline.contract.processes import is_locked
from pipeline.contract.prompts import load_prompts, save_prompts
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import Settings, parse_settings

_PACKAGES = (
    "headwater",
    "torch",
    "transformers",
    "datasets",
    "tokenizers",
    "accelerate",
    "kronfluence",
    "deepeval",
    "textual",
)


def write_run(run: RunDir, text: str, origin: Path) -> Settings:
    """Writes settings, prompts and manifest into a new or existing run folder.

    `text` is the TOML; `origin` the file that it came from, to which its paths are relative.
    Stages that were finished stay; changed settings make them stale.

    Raises:
        SettingsError: settings, prompts or the local data path are wrong; nothing is written then.
        RunBusyError: something is working in the run.
    """
    settings = parse_settings(text, str(origin))
    document = tomlkit.parse(text)
    _make_paths_absolute(document, settings, origin.resolve().parent)
    resolved = tomlkit.dumps(document)
    settings = parse_settings(resolved, str(origin))
    if settings.data.source == "local" and not Path(settings.data.path).exists():
        raise SettingsError(f"{origin}: data.path: there is no file or folder {settings.data.path}")
    prompts = []
    if settings.data.source != "demo":
        place = origin.resolve().parent / settings.prompts.path
        prompts = load_prompts(place, settings.prompts.use_generated)
    if is_locked(run):
        hint = f"`headwater cancel {run.name}` stops it; or give this run another name with --run"
        raise RunBusyError(f"run {run.name} is at work: its settings cannot change now", hint)
    with disk_errors_explained(run.root):
        write_text(run.settings, resolved)
        if prompts:
            save_prompts(run.prompts, prompts)
        write_json(run.manifest, _manifest(settings))
    return settings


def _make_paths_absolute(document: Any, settings: Settings, folder: Path) -> None:
    """Local paths are written out whole, so that the run can be resumed from anywhere."""
    if settings.data.source == "local":
        document["data"]["path"] = str((folder / Path(settings.data.path).expanduser()).resolve())
    for section, key in (("model", "name"), ("tokenizer", "source"), ("benchmark", "data")):
        value = getattr(getattr(settings, section), key)
        if "/" in value and (folder / Path(value).expanduser()).is_dir():
            document[section][key] = str((folder / Path(value).expanduser()).resolve())


def _manifest(settings: Settings) -> dict[str, Any]:
    """What would be needed to understand a difference between two machines' results."""
    return {
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "seed": settings.run.seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": _gpus(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "git_revision": _git_revision(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """The revision of Headwater's own source, where it runs from a checkout."""
    source = Path(__file__).parent
    command = ["git", "-C", str(source), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def _gpus() -> list[str]:
    import pynvml  # only here: a machine without a driver needs none of it

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    handles = [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]
    return [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
