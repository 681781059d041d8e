"""Makes a run folder: checks settings and prompts, then copies them into it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import tomlkit

from pipeline.contract.container import usable_cpus
from pipeline.contract.errors import (
    RunBusyError,
    SettingsError,
    UsageError,
    disk_errors_explained,
)
from pipeline.contract.files import is_there, read_text, write_json, write_text
from pipeline.contract.gpus import GpuReader
from pipeline.contract.run.freshness import FORMAT
from pipeline.contract.run.locks import refuse_without_locks
from pipeline.contract.run.manifest import CLONED_FROM, CREATED
from pipeline.contract.run.outside_paths import make_absolute
from pipeline.contract.run.processes import is_locked
from pipeline.contract.run.remarks import Remarks, read_remarks, write_remarks
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.slurm_jobs import refuse_submitted
from pipeline.contract.settings.loading import load_settings, parse_settings
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from pipeline.contract.settings.schema import Settings

_PACKAGES = (
    "headwater",
    "torch",
    "transformers",
    "datasets",
    "tokenizers",
    "accelerate",
    "kronfluence",
    "peft",
    "deepeval",
    "textual",
)


def write_run(run: RunDir, text: str, origin: Path, prompts: Sequence[Prompt] = ()) -> Settings:
    """Writes settings, prompts and manifest into a new or existing run folder.

    `text` is the TOML; `origin` the file that it came from, to which its paths are relative;
    `prompts` are taken in place of those that it names.
    Stages that were finished stay; changed settings make them stale.

    Raises:
        SettingsError: settings, prompts or the local data path are wrong; nothing is written then.
        RunBusyError: something is working in the run.
    """
    resolved = _with_absolute_paths(text, str(origin), origin.resolve().parent)
    settings = parse_settings(resolved, str(origin))
    _refuse_missing_data(settings, str(origin))
    if settings.data.source != "demo" and not prompts:
        prompts = load_prompts(Path(settings.prompts.path), settings.prompts.use_generated)
    _refuse_at_work(run)
    manifest = _manifest(settings)
    with disk_errors_explained(run.root), _whole(run):
        refuse_without_locks(run)
        if prompts:
            save_prompts(run.prompts, list(prompts))
        write_json(run.manifest, manifest)
        write_text(run.settings, resolved)
    return settings


@contextmanager
def _whole(run: RunDir) -> Iterator[None]:
    """Removes a new run's folder where it could not be made whole."""
    is_new = not os.path.lexists(run.root)
    run.root.mkdir(parents=True, exist_ok=True)
    made = False
    try:
        yield
        made = True
    finally:
        if is_new and not made:
            shutil.rmtree(run.root, ignore_errors=True)


def tracing_answers(text: str) -> str:
    """Sets `prompts.use_generated = true` in settings, comments and order kept."""
    document = tomlkit.parse(text)
    document.setdefault("prompts", {})["use_generated"] = True
    return tomlkit.dumps(document)


def adding_to_index(text: str, paths: Sequence[Path]) -> str:
    """Adds `paths` to `index.added` in settings, comments and order kept."""
    document = tomlkit.parse(text)
    section = document.setdefault("index", {})
    there = section.get("added", [])
    section["added"] = list(dict.fromkeys([*there, *(str(path.resolve()) for path in paths)]))
    return tomlkit.dumps(document)


def settings_in_place(path: str) -> Settings:
    """The settings of a file outside of any run, with every local path absolute.

    Raises:
        SettingsError: there is no such file, or it is wrong.
    """
    file = Path(path)
    load_settings(file)
    text = _with_absolute_paths(read_text(file), str(file), file.resolve().parent)
    return parse_settings(text, str(file))


def clone_run(source: RunDir, target: RunDir) -> None:
    """Makes a new run with the settings, prompts and tags of another; no stage has run in it, so it
    has not that one's note.

    Raises:
        SettingsError: the other run's settings are wrong.
        DamagedResultError: the other run's tags cannot be read.
        UsageError: there is something at the new run's path already.
    """
    _refuse_taken(target)
    settings, tags = load_settings(source.settings), read_remarks(source).tags
    with disk_errors_explained(target.root), _whole(target):
        if tags:
            write_remarks(target, Remarks(tags))
        if source.prompts.exists():
            write_text(target.prompts, read_text(source.prompts))
        write_json(target.manifest, {**_manifest(settings), CLONED_FROM: source.name})
        write_text(target.settings, read_text(source.settings))


def clone_onto(source: RunDir, target: RunDir, kept: Path, held_out: Path) -> None:
    """Makes a new run with the settings, prompts and tags of another, on what stays of its data.

    `kept`: that, in the columns of the other's data; `held_out`: ids of its held-out documents, a
    file that need not exist. The new run holds out the same ones, and takes the tokenizer that the
    other one trained: losses before and after can be compared, and both begin with equal weights.

    Raises:
        UsageError: see `refuse_clone_onto`.
        SettingsError, DamagedResultError: the other run's settings or tags are wrong.
    """
    settings = refuse_clone_onto(source, target)
    clone_run(source, target)
    document = tomlkit.parse(read_text(source.settings))
    section = document.setdefault("data", {})
    section.update({"source": "local", "path": str(kept), "limit": 0})
    if held_out.exists():
        section["held_out"] = str(held_out)
    if settings.data.source == "demo":  # its columns and prompts come from no settings
        section.update({"text_column": "text", "messages_column": "messages", "id_column": "id"})
        save_prompts(target.prompts, load_prompts(source.prepared_prompts))
    if settings.tokenizer.source == "train":
        document["tokenizer"]["source"] = str(source.tokenizer.absolute())
    write_text(target.settings, tomlkit.dumps(document))


def refuse_clone_onto(source: RunDir, target: RunDir) -> Settings:
    """Refuses what `clone_onto` could not do; gives the settings of the run that is cloned.

    Raises:
        UsageError: there is something at the new run's path already, or the other run's model was
            trained elsewhere: other data would not change it.
    """
    settings = load_settings(source.settings)
    if settings.model.trained:
        hint = "train a model on the kept rows where that one was trained; name it in model.trained"
        raise UsageError(f"the model of run {source.name} was trained elsewhere", hint)
    _refuse_taken(target)
    return settings


def change_settings(run: RunDir, text: str) -> Settings:
    """Replaces the settings of a run; stages that read what has changed become stale.

    Paths that are new in them are relative to the current folder: that of the run holds none.

    Raises:
        SettingsError: the new settings are wrong; the old ones stay then.
        RunBusyError: something is working in the run.
    """
    text = _with_absolute_paths(text, str(run.settings), Path.cwd())
    settings = parse_settings(text, str(run.settings))
    _refuse_missing_data(settings, str(run.settings))
    _refuse_at_work(run)
    with disk_errors_explained(run.root):
        write_text(run.settings, text)
    return settings


def change_prompts(run: RunDir, prompts: list[Prompt]) -> None:
    """Replaces the prompts of a run; what has read them becomes stale.

    Raises:
        SettingsError: there are none.
        RunBusyError: something is working in the run.
    """
    if not prompts:
        raise SettingsError("a run needs a prompt at the least")
    _refuse_at_work(run)
    with disk_errors_explained(run.root):
        save_prompts(run.prompts, prompts)


def _with_absolute_paths(text: str, name: str, folder: Path) -> str:
    """The TOML with every local path absolute, so that no stage has to look it up again."""
    document = tomlkit.parse(text)
    changed = make_absolute(document, parse_settings(text, name), folder)
    return tomlkit.dumps(document) if changed else text


def _refuse_missing_data(settings: Settings, origin: str) -> None:
    if settings.data.source == "local" and not is_there(Path(settings.data.path)):
        raise SettingsError(f"{origin}: data.path: there is no file or folder {settings.data.path}")


def _refuse_taken(run: RunDir) -> None:
    if os.path.lexists(run.root):
        raise UsageError(f"there is a run {run.name!r} already", "choose another name")


def _refuse_at_work(run: RunDir) -> None:
    refuse_submitted(run)  # its job reads the settings when it begins
    if is_locked(run):
        hint = f"`headwater cancel {run.name}` stops it; or give this run another name with --run"
        raise RunBusyError(f"run {run.name} is at work: its settings cannot change now", hint)


def _manifest(settings: Settings) -> dict[str, object]:
    """Versions, hardware and seed, to explain a difference between two machines' results."""
    return {
        "format": FORMAT,
        "created": time.strftime(CREATED),
        "command": sys.argv,
        "seed": settings.run.seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cpus": usable_cpus(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": _gpus(settings),
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


def _gpus(settings: Settings) -> list[str]:
    """The devices' names; none are asked for where nothing will run on them."""
    if settings.run.device == "cpu":
        return []
    found = GpuReader(environment=os.environ).read()
    return [f"{gpu.name}: {gpu.trouble}" if gpu.trouble else gpu.name for gpu in found]
