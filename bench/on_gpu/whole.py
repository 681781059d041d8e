"""Sections of `bench.gpu` on the program as it is used: its marked tests, the demo, the panels."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from bench.on_gpu.sections import Figures, Request, Skipped
from pipeline.contract.files import write_text
from pipeline.contract.gpus import GpuReader

_ROOT = Path(__file__).parents[2]
_COUNTS = ("tests", "failures", "errors", "skipped")
_NONE_COLLECTED = 5
_WIDTH = 4096


def tests(request: Request) -> Figures:
    """Those marked `cuda`; without a GPU they are collected and skipped."""
    report = request.folder / "tests.xml"
    command = ["-m", "pytest", "-m", "cuda", "-n0", f"--junitxml={report}", "-q"]
    done = subprocess.run(
        [sys.executable, *command], cwd=_ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode == _NONE_COLLECTED:
        raise Skipped("no test is marked cuda")
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    counted = {name: int(suite.get(name, "0")) for name in _COUNTS}
    return {"exit_code": done.returncode, **counted, "said": done.stdout[-2000:]}


def demo(request: Request) -> Figures:
    """`headwater demo --no-tui`, whole whatever the share."""
    headwater = [sys.executable, "-m", "tui", "--runs", str(request.folder / "runs")]
    begun = time.perf_counter()
    try:
        done = subprocess.run(
            [*headwater, "demo", "--no-tui"], cwd=_ROOT, check=True, capture_output=True, text=True
        )
    finally:  # its stages outlive whoever started them
        subprocess.run([*headwater, "cancel", "demo"], cwd=_ROOT, check=False, capture_output=True)
    return {"clock": time.perf_counter() - begun, "said": done.stdout.splitlines()}


def panels(request: Request) -> Figures:
    """What the dashboard's reader tells while the GPU multiplies; and its Devices screen as SVG."""
    reader = GpuReader(environment=os.environ)
    at_rest = [asdict(sample) for sample in reader.read()]
    if request.device == "cpu" or not at_rest:
        raise Skipped(reader.trouble or "the panels tell what a GPU does")
    with _at_work(request.device):
        time.sleep(2)  # the driver's own interval
        at_work = [asdict(sample) for sample in reader.read()]
        screen = asyncio.run(_devices_screen(request.folder / "runs"))
    write_text(request.folder / "devices.svg", screen)
    return {"driver": reader.driver_version(), "at_rest": at_rest, "at_work": at_work}


@contextmanager
def _at_work(device: str) -> Iterator[None]:
    """Products without end on the device, in a thread."""
    import torch  # seconds that a machine without a GPU need not wait

    ended = threading.Event()

    def multiply() -> None:
        matrix = torch.ones(_WIDTH, _WIDTH, device=device)
        while not ended.is_set():
            matrix = torch.mm(matrix, matrix).clamp(-1, 1)
            if device == "cuda":
                torch.cuda.synchronize()

    thread = threading.Thread(target=multiply)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


async def _devices_screen(runs: Path) -> str:
    from tui.app import HeadwaterApp  # no other section needs a screen
    from tui.person.user import User

    runs.mkdir(exist_ok=True)
    app = HeadwaterApp(runs, None, User())
    async with app.run_test(size=(110, 32)) as pilot:
        await pilot.press("D")
        await pilot.pause(3)  # two of its readings
        return app.export_screenshot(title="headwater · Devices")
