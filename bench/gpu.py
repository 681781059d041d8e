"""What a GPU does with all of it: one command, one JSON, sections of at most nine minutes.

    uv run python -m bench.gpu --out result.json [--section NAME …] [--again]
                               [--device cpu|cuda] [--share 0.01] [--folder FOLDER]

Sections, one after the other, each in a process of its own that is stopped when its time is over:
the tests that are marked `cuda`; the dashboard's GPU panels; the demo; training's utilisation;
every pass of EKFAC on TinyLlama's shape in three precisions, beside the arithmetic that it needs
and the memory that `headwater plan` reckons with; and the shapes of Qwen2.5-0.5B and 1.5B beside
plain Kronfluence, Bergson and dattri-llm. NAME may be the beginning of several. What the file has
is not run again (`--again`: unless it is done), so the same command goes on where it was stopped.
`--share` takes a part of the work, for a CPU; below 0.01 it only tries whether all of it works.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.on_gpu.sections import NAMES, Request, Skipped, section
from pipeline.contract.errors import UsageError
from pipeline.contract.files import read_json, write_json

SECONDS = 540.0
GRACE_S = 20.0
"""Between asking a section to end and ending it."""
DONE, FAILED, LATE, SKIPPED = "done", "failed", "out of time", "skipped"
_SAID = 3000
"""Characters of what a section said that are kept."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the file does not have yet; 1 if a section failed or was stopped."""
    asked = _parser().parse_args(arguments)
    if asked.child:
        return _be_section(asked)
    try:
        return run(asked)
    except UsageError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_code


def run(asked: argparse.Namespace) -> int:
    """Runs sections in order, and writes the file after each.

    Raises:
        UsageError: no section is called so, or the file is of another device or share.
    """
    chosen = named(asked.section)
    device = asked.device or _best_device()
    found = _begun(asked.out, device, asked.share)
    folder = asked.folder or asked.out.with_suffix(".work")
    folder.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        before = found["by_section"].get(name)
        if before and not (asked.again and before["state"] != DONE):
            continue
        print(f"{name} …", end=" ", flush=True)
        found["by_section"][name] = _called(name, device, asked.share, folder, asked.seconds)
        write_json(asked.out, found)
        print(_told(found["by_section"][name]), flush=True)
    states = [found["by_section"][name]["state"] for name in chosen]
    return int(FAILED in states or LATE in states)


def named(wanted: Sequence[str]) -> list[str]:
    """Sections that are called so or whose names begin so; all where nothing is wanted.

    Raises:
        UsageError: none is.
    """
    for prefix in wanted:
        if not any(name.startswith(prefix) for name in NAMES):
            raise UsageError(f"--section {prefix}: there is none", f"valid: {', '.join(NAMES)}")
    return [name for name in NAMES if not wanted or name.startswith(tuple(wanted))]


def _begun(out: Path, device: str, share: float) -> dict[str, Any]:
    """What the file has, or an empty one."""
    found: dict[str, Any] = read_json(out) if out.exists() else {}
    if not found:
        return {"device": device, "share": share, "machine": machine(device), "by_section": {}}
    if (found["device"], found["share"]) != (device, share):
        raise UsageError(
            f"{out} is of device {found['device']}, share {found['share']}, not of {device}, "
            f"{share}",
            "name another file with --out",
        )
    return found


def machine(device: str) -> dict[str, Any]:
    """What it was measured on and with."""
    import torch

    names = ("torch", "transformers", "kronfluence")
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor()
    return {
        "name": name,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _called(name: str, device: str, share: float, folder: Path, seconds: float) -> dict[str, Any]:
    """One section in a process of its own."""
    answer = folder / f"{name}.json"
    answer.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.gpu", "--child", name, f"--out={answer}"]
    command += [f"--device={device}", f"--share={share}", f"--folder={folder}"]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    begun = time.monotonic()
    with (folder / f"{name}.log").open("w+") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | hidden, start_new_session=True
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            _stop(process)
            state: dict[str, Any] = {"state": LATE, "why": f"stopped after {seconds:.0f} s"}
        except BaseException:  # whoever stops all of it stops the section, which has its own group
            _stop(process)
            raise
        else:
            state = read_json(answer) if answer.exists() else {"state": FAILED}
        log.seek(0)
        said = log.read()[-_SAID:]
    kept = {} if state["state"] in (DONE, SKIPPED) else {"said": said}
    return {**state, **kept, "seconds": round(time.monotonic() - begun, 1)}


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a section and what it started."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _be_section(asked: argparse.Namespace) -> int:
    """Measures, in the section's own process, and answers in a file."""
    try:
        figures = section(asked.child)(Request(asked.device, asked.share, asked.folder))
    except Skipped as reason:
        write_json(asked.out, {"state": SKIPPED, "why": str(reason)})
    else:
        write_json(asked.out, {"state": DONE, "figures": figures})
    return 0


def _told(section: dict[str, Any]) -> str:
    why = f": {section['why']}" if "why" in section else ""
    return f"{section['state']} in {section['seconds']:.1f} s{why}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file")
    parser.add_argument("--section", nargs="+", default=[], help="only these")
    parser.add_argument("--again", action="store_true", help="those that are not done, once more")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="a GPU, if there is one")
    parser.add_argument("--share", type=float, default=1.0, help="of the work")
    parser.add_argument("--folder", type=Path, help="kept between sections; OUT.work")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a section, at most")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started is ended, too
    sys.exit(main())
