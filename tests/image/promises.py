"""What the image promises. `scripts/image_check` builds it and runs these; nothing else does.

HEADWATER_IMAGE names the image, HEADWATER_ENGINE what runs it: docker or podman.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.contract.run.events import Cancelled, Event, EventReader, Finished, Progress
from pipeline.contract.run.processes import is_locked
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.demo import demo_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings
from tests.tui.terminals import Terminal

ENGINE, IMAGE = os.environ["HEADWATER_ENGINE"], os.environ["HEADWATER_IMAGE"]
OWN, OTHER = 10001, 23456
PATIENCE_S = 900.0
OFFLINE = ("run", "--no-healthcheck", "--network", "none")
CONFINED = (
    *("--read-only", "--tmpfs", "/tmp"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)
RUN_SMALL = ("run", "all", "--settings", "settings.toml", "--run", "small")
Result = subprocess.CompletedProcess[str]
Start = Callable[..., str]


def engine(*arguments: str) -> Result:
    """Docker or Podman; what it says on both streams is in `stdout`."""
    return subprocess.run(
        [ENGINE, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def contained(*options: str, verb: tuple[str, ...]) -> Result:
    """A verb in a container that ends with it, without a network and a terminal."""
    return engine(*OFFLINE, "--rm", *options, IMAGE, *verb)


def shell(line: str, *options: str) -> str:
    """What a line of shell prints in the image."""
    return engine(*OFFLINE, "--rm", *options, "--entrypoint", "sh", IMAGE, "-c", line).stdout


def mounted(folder: Path) -> tuple[str, str]:
    return "-v", f"{folder}:/headwater"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.2)


def is_healthy(one: str) -> bool:
    """Docker probes by itself; Podman leaves that to systemd, which a container may lack."""
    if ENGINE == "podman":
        return engine("healthcheck", "run", one).returncode == 0
    return engine("inspect", "-f", "{{.State.Health.Status}}", one).stdout.strip() == "healthy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a person mounts, with settings of a small demo; the image's own user is its owner."""
    small: dict[str, dict[str, object]] = {
        "train": {"epochs": 1.0, "checkpoint_every": 20},
        "generate": {"max_new_tokens": 4},
        "prompts": {"max_new_tokens": 4},
        "factors": {"strategies": ["identity"]},
        "scores": {"second_opinions": ["bm25"]},
    }
    whole = demo_settings(0).model_dump()
    chosen = {name: {**section, **small.get(name, {})} for name, section in whole.items()}
    settings = render_settings(Settings.model_validate(chosen))
    (tmp_path / "settings.toml").write_text(settings)
    os.chown(tmp_path, OWN, OWN)
    return tmp_path


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts containers in the background by their ids; removes them at the end."""
    ids: list[str] = []

    def start(*options: str, verb: tuple[str, ...], how: tuple[str, ...] = OFFLINE) -> str:
        told = engine(*how, "-d", *options, IMAGE, *verb)
        assert told.returncode == 0, told.stdout
        ids.append(told.stdout.split()[-1])
        return ids[-1]

    yield start
    for one in ids:
        engine("rm", "-f", one)


def events(folder: Path) -> list[Event]:
    return list(EventReader(RunDir(folder / "runs/small").events).stream())


def trains(folder: Path) -> bool:
    return any(isinstance(event, Progress) and event.stage == "train" for event in events(folder))


# ---- what is in it


def test_its_user_has_a_fixed_id_and_no_rights() -> None:
    assert shell("id -u; id -g").split() == [str(OWN), str(OWN)]
    assert "0000000000000000" in shell("grep CapEff /proc/self/status")


def test_it_holds_no_compilers_and_no_caches() -> None:
    found = shell("for p in cc gcc g++ clang make git pip uv; do command -v $p; done; true")
    assert found == ""
    caches = "/var/lib/apt/lists /root/.cache /var/cache/uv /cache"
    assert shell(f"find {caches} -type f 2>/dev/null | head -3") == ""


def test_the_whole_program_is_in_it() -> None:
    told = contained("--entrypoint", "python", verb=("-c", "import headwater, torch, bitsandbytes"))
    assert told.returncode == 0, told.stdout
    labels = json.loads(engine("image", "inspect", IMAGE).stdout)[0]["Config"]["Labels"]
    version = f"headwater, version {labels['org.opencontainers.image.version']}"
    assert contained(verb=("--version",)).stdout.strip() == version


def test_bytecode_is_there_for_the_user_who_cannot_write_it() -> None:
    packages = "/opt/headwater/lib/python3.*/site-packages"
    line = f"for f in torch tui pipeline; do ls {packages}/$f/__pycache__/__init__.*.pyc; done"
    assert shell(line).count(".pyc\n") == 3


# ---- what it does


def test_a_stopped_run_has_its_checkpoint_and_goes_on_in_another_container(
    folder: Path, start: Start
) -> None:
    one = start(*mounted(folder), *CONFINED, verb=RUN_SMALL)
    until(lambda: trains(folder))
    engine("stop", "-t", "60", one)
    assert engine("wait", one).stdout.split()[-1] == "143"
    assert "stopped; `headwater resume small` goes on" in engine("logs", one).stdout
    ended = [event for event in events(folder) if isinstance(event, Cancelled)]
    assert [event.stage for event in ended] == ["train"]
    steps = [event for event in events(folder) if isinstance(event, Progress)]
    told = contained(*mounted(folder), *CONFINED, verb=("resume", "small"))
    assert told.returncode == 0, told.stdout
    later = [event for event in events(folder) if isinstance(event, Progress)][len(steps) :]
    first = next(
        event for event in later if event.stage == "train" and event.phase == steps[-1].phase
    )
    assert first.done >= steps[-1].done, "it did not begin anew"
    assert any(isinstance(e, Finished) and e.stage == "report" for e in events(folder))
    assert {path.stat().st_uid for path in (folder / "runs").rglob("*")} == {OWN}


def test_the_dashboard_opens_in_a_terminal_and_leaves_it(folder: Path) -> None:
    terminal = Terminal(program=(ENGINE, *OFFLINE, "--rm", "-it", *mounted(folder), IMAGE))
    try:
        terminal.until("no runs yet")
        terminal.press("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()


def test_a_container_whose_dashboard_is_left_stays_until_its_stages_are_done(
    folder: Path, start: Start
) -> None:
    prepared = contained(*mounted(folder), verb=("run", "prepare", *RUN_SMALL[2:]))
    assert prepared.returncode == 0, prepared.stdout
    options = (*OFFLINE, "--rm", "-it", *mounted(folder), IMAGE, "tui", "small")
    terminal = Terminal(program=(ENGINE, *options))
    try:
        terminal.until("prepare done")
        terminal.press("a")
        until(lambda: terminal.read(0.2) and trains(folder))
        terminal.press("q")
        terminal.until("Leave?")
        terminal.press("y")
        terminal.until("the container stays until it is done")
        assert is_locked(RunDir(folder / "runs/small"))
        terminal.press("\x03")
        assert terminal.ended() == 130
    finally:
        terminal.close()


def test_a_served_dashboard_is_healthy_and_entered_by_exec(folder: Path, start: Start) -> None:
    how = ("run", "--network", "none")
    one = start(*mounted(folder), verb=("serve",), how=how)
    until(lambda: is_healthy(one))
    terminal = Terminal(program=(ENGINE, "exec", "-it", one, "headwater"))
    try:
        terminal.until("no runs yet")
        terminal.press("q")
        assert terminal.ended() == 0
    finally:
        terminal.close()
    assert engine("inspect", "-f", "{{.State.Running}}", one).stdout.strip() == "true"
    assert "http://127.0.0.1:8000/?token=" in engine("logs", one).stdout


def test_an_account_without_a_name_works_in_a_folder_of_its_own(folder: Path) -> None:
    os.chown(folder, OTHER, OTHER)
    user = ("--user", f"{OTHER}:{OTHER}")
    told = contained(*mounted(folder), *CONFINED, *user, verb=("run", "prepare", *RUN_SMALL[2:]))
    assert told.returncode == 0, told.stdout
    assert {path.stat().st_uid for path in (folder / "runs").rglob("*")} == {OTHER}
    inductor = "import torch._inductor.runtime.cache_dir_utils as c; print(c.cache_dir())"
    line = f"touch $HOME/x && python -c '{inductor}'"
    assert shell(line, *user).strip() == "/cache/inductor"


def test_the_sandbox_of_humaneval_works_under_all_restrictions() -> None:
    told = contained(*CONFINED, verb=("doctor", "--json"))
    found = json.loads(told.stdout[told.stdout.index("[") :])
    assert {check["name"]: check["level"] for check in found}["sandbox"] == "ok"


# ---- what it says


def test_without_gpu_terminal_and_volume_each_is_said_once_and_the_rest_works() -> None:
    told = contained(verb=())
    assert told.returncode == 2
    for said in ("no GPU", "is removed with it", "the dashboard needs a terminal"):
        assert told.stdout.count(said) == 1, told.stdout
    assert "Traceback" not in told.stdout
    assert contained(verb=("runs",)).returncode == 0
    assert contained(verb=("init", "books")).returncode == 0


def test_a_folder_of_another_owner_is_said_and_can_be_read(folder: Path) -> None:
    os.chown(folder, OTHER, OTHER)
    folder.chmod(0o755)
    told = contained(*mounted(folder), verb=RUN_SMALL)
    assert told.returncode == 2, told.stdout
    assert f"Add `--user {OTHER}:{OTHER}`" in told.stdout
    assert "Traceback" not in told.stdout
    assert contained(*mounted(folder), verb=("runs",)).returncode == 0


def test_a_cache_that_cannot_be_written_is_said_and_replaced(folder: Path) -> None:
    (folder / "cache").mkdir()
    volume = ("-v", f"{folder / 'cache'}:/cache")
    told = contained(*mounted(folder), *volume, verb=("runs",))
    assert "cannot be written: caches are in /tmp/" in told.stdout
    assert told.returncode == 0


def test_stdout_is_data_alone(folder: Path) -> None:
    command = [ENGINE, *OFFLINE, "--rm", *mounted(folder), IMAGE, "runs", "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert json.loads(told.stdout) == []
    assert re.search("no GPU", told.stderr)
