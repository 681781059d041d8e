"""What a container was started without: one message each, and the work goes on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.contract.gpus import GpuReader
from tui.readers.mounts import ends_with_container, nearest

CACHES = ("HOME", "HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "CUDA_CACHE_PATH")
"""Variables of the image that name folders on its volume for caches."""


def without_gpu(environment: Mapping[str, str]) -> str:
    """Says that everything runs on the CPU; empty where there is a GPU."""
    reader = GpuReader(environment=environment)
    if reader.read():
        return ""
    return f"{reader.trouble} (Podman: --device nvidia.com/gpu=all)\n  Everything runs on the CPU."


def not_kept(runs: Path) -> str:
    """Says that runs end with the container; empty where they lie on a mount."""
    if not ends_with_container(runs):
        return ""
    return (
        f"{runs.resolve()} lies inside the container and is removed with it\n"
        f'  `-v "$PWD:{Path.cwd()}"` keeps the runs in the folder that you are in.'
    )


def not_writable(runs: Path) -> str:
    """Says that no run can be started, and why; empty where the folder can be written."""
    folder = nearest(runs)
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder} is read-only: results can be read, and nothing can be run"
    owner = folder.stat()
    rootless = " (rootless Podman: `--userns keep-id` with it)" if owner.st_uid == 0 else ""
    return (
        f"{folder} belongs to {owner.st_uid}:{owner.st_gid} and cannot be written by "
        f"{os.getuid()}:{os.getgid()}, who works here\n"
        f"  Add `--user {owner.st_uid}:{owner.st_gid}`{rootless}, or results can only be read."
    )


def other_caches(environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Variables that name other folders in the place of caches that cannot be written, and what to
    say about it."""
    lost = [
        name
        for name in CACHES
        if (folder := environment.get(name))
        and not os.access(nearest(Path(folder)), os.W_OK | os.X_OK)
    ]
    if not lost:
        return {}, ""
    kept = "`-v headwater-cache:/cache` keeps what is downloaded."
    try:
        folder = tempfile.mkdtemp(prefix="headwater-")
    except OSError:
        return (
            {},
            f"no folder can be written, not even for what is temporary: `--tmpfs /tmp`. {kept}",
        )
    told = (
        f"{environment[lost[0]]} cannot be written: caches are in {folder} until the end\n  {kept}"
    )
    return {name: f"{folder}/{name.lower()}" for name in lost}, told


def messages(runs: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """What to say before the work begins."""
    yield from filter(None, (without_gpu(environment), not_kept(runs), not_writable(runs)))
