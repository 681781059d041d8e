"""A stage's process: it ends when it is asked to, wherever it is then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.contract.results.training import read_training
from pipeline.contract.run.events import Cancelled, EventReader, Progress, Started
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import profile, render_settings
from tests.small_runs import prepare_run

SCRIPT = """
import sys, time, types
from pathlib import Path
from pipeline.__main__ import main
from pipeline.contract.run.run_dir import RunDir

def wait():
    (target.root / "waiting").touch()
    time.sleep(30)

class Garbage:
    def __del__(self):
        wait()

def swallow(settings, run, events):
    try:
        wait()
    except Exception:  # as libraries do around what may be missing
        time.sleep(30)

def collect(settings, run, events):
    Garbage()  # what is raised while it is collected goes nowhere
    time.sleep(30)

target = RunDir(Path(sys.argv[1]))
sys.modules["pipeline.stages.prepare"] = types.SimpleNamespace(run=globals()[sys.argv[2]])
sys.exit(main("prepare", target))
"""


@pytest.mark.parametrize("where", ["swallow", "collect"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_heard_even_where_exceptions_get_lost(
    tmp_path: Path, where: str, number: signal.Signals
) -> None:
    run = RunDir(tmp_path)
    run.settings.write_text(render_settings(profile("demo")))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path), where])
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "waiting").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
    assert isinstance(EventReader(run.events).read()[-1], Cancelled)


def test_a_launchers_variables_reach_no_stage(tmp_path: Path) -> None:
    """Else training would wait for three other processes for ever."""
    run = prepare_run(tmp_path, train={"max_steps": 2})
    launched = {
        "WORLD_SIZE": "4",
        "RANK": "1",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29511",
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "ACCELERATE_USE_FSDP": "true",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "train", str(run.root)],
        env={**os.environ, **launched},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert "left out of the environment" in done.stdout
    assert all(name in done.stdout for name in launched)
    assert read_training(run).steps == 2


def test_a_stage_says_what_it_does_from_its_start(tmp_path: Path) -> None:
    run = prepare_run(tmp_path, train={"max_steps": 2})
    subprocess.run([sys.executable, "-m", "pipeline", "train", str(run.root)], check=True)
    events = EventReader(run.events).read()
    assert isinstance(events[0], Started)
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert phases[0] == "loading libraries"
    assert list(dict.fromkeys(phases))[-2:] == ["training", "saving the model"]


FETCHING = """
import sys, types
from pathlib import Path
from pipeline.__main__ import main
from pipeline.contract.run.run_dir import RunDir

def fetch(settings, run, events):
    import peft  # what imports bitsandbytes, which asks the hub for code on some processors
    import kernels

sys.modules["pipeline.stages.prepare"] = types.SimpleNamespace(run=fetch)
sys.exit(main("prepare", RunDir(Path(sys.argv[1]))))
"""


def test_no_library_of_a_stage_fetches_code_from_the_hub(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels/__init__.py").write_text(
        f"open({str(tmp_path / 'fetched')!r}, 'w').close()\n__version__ = '9'\n"
    )
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")))
    ended = subprocess.run(
        [sys.executable, "-c", FETCHING, str(run.root)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "import of kernels halted" in ended.stderr
    assert not (tmp_path / "fetched").exists()
