"""Leases: one holder a part, whatever the clocks say, and the parts of the dead go to others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.contract.run.leases import Lease, Leases
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import Offer, read_offer

ME = ProcessIdentity.of(os.getpid())
ELSEWHERE = replace(ME, host="another-machine", boot_id="another")
HOLD = """
import os, sys, time
from pathlib import Path
from pipeline.contract.run.leases import Leases
from pipeline.contract.run.processes import ProcessIdentity

lease = Leases(Path(sys.argv[1]), ProcessIdentity.of(os.getpid())).take("part")
print("held" if lease else "refused", flush=True)
time.sleep(60)
"""


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def leases(folder: Path, holder: ProcessIdentity = ME, clock: Clock | None = None) -> Leases:
    return Leases(folder, holder, beat_s=3600, stale_s=30, clock=clock or Clock())


def take(mine: Leases) -> Lease:
    lease = mine.take("part")
    assert lease
    return lease


def test_a_part_has_one_holder_until_it_is_given_back(tmp_path: Path) -> None:
    with take(leases(tmp_path)):
        assert leases(tmp_path, ELSEWHERE).take("part") is None
        other = leases(tmp_path, ELSEWHERE).take("another part")
        assert other
        other.give_back()
    with take(leases(tmp_path, ELSEWHERE)):
        pass
    assert not list(tmp_path.iterdir())


def test_of_many_that_want_a_part_at_once_one_gets_it(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def want(_: int) -> Lease | None:
        barrier.wait()
        return leases(tmp_path).take("part")

    with ThreadPoolExecutor(8) as pool:
        got = [lease for lease in pool.map(want, range(8)) if lease]
    assert len(got) == 1
    got[0].give_back()


def test_the_part_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        assert leases(tmp_path).take("part") is None
        process.kill()
        process.wait()
    with take(leases(tmp_path)):
        pass


def test_a_silent_holder_elsewhere_loses_its_part_by_the_lookers_clock(tmp_path: Path) -> None:
    clock = Clock()
    mine = leases(tmp_path, clock=clock)
    with take(leases(tmp_path, ELSEWHERE)):
        assert mine.take("part") is None
        clock.now += 29
        assert mine.take("part") is None
        clock.now += 2
        with take(mine):
            assert holder(tmp_path) == ME.host


def test_a_holder_that_beats_keeps_its_part_however_long_it_takes(tmp_path: Path) -> None:
    clock = Clock()
    mine = leases(tmp_path, clock=clock)
    with Leases(tmp_path, ELSEWHERE, beat_s=0.01).take("part") or pytest.fail("not taken"):
        for _ in range(5):
            assert mine.take("part") is None
            wait_for_a_beat(tmp_path)
            clock.now += 29


@pytest.mark.parametrize("skew", [-86_400.0, 86_400.0])
def test_clocks_that_disagree_change_nothing(tmp_path: Path, skew: float) -> None:
    """The file's times are those of another machine's clock, a day off."""
    clock = Clock()
    mine = leases(tmp_path, clock=clock)
    with take(leases(tmp_path, ELSEWHERE)):
        os.utime(tmp_path / "part.lease", (time.time() + skew, time.time() + skew))
        assert mine.take("part") is None
        clock.now += 29
        assert mine.take("part") is None
        clock.now += 2
        with take(mine):
            pass


def test_a_lease_that_was_lost_is_not_taken_back(tmp_path: Path) -> None:
    """A holder that was suspended wakes up, beats and ends; the new holder's lease stays."""
    clock = Clock()
    mine = leases(tmp_path, clock=clock)
    with Leases(tmp_path, ELSEWHERE, beat_s=3600).take("part") or pytest.fail("not taken") as lost:
        assert mine.take("part") is None
        clock.now += 31
        found = take(mine)
        lost._beat(7)
    assert holder(tmp_path) == ME.host
    found.give_back()


@pytest.mark.parametrize("content", [b"", b'{"holder": {"pid"', b"[]", b'{"holder": {"pid": "x"}}'])
def test_a_lease_that_says_nothing_is_waited_for_and_then_removed(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "part.lease").write_bytes(content)
    clock = Clock()
    mine = leases(tmp_path, clock=clock)
    assert mine.take("part") is None
    clock.now += 31
    with take(mine):
        pass


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        leases(tmp_path / "gone").take("part")
    assert not (tmp_path / "gone").exists()


def holder(folder: Path) -> str:
    return str(json.loads((folder / "part.lease").read_bytes())["holder"]["host"])


def wait_for_a_beat(folder: Path) -> None:
    def beats() -> Iterator[bytes]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            yield (folder / "part.lease").read_bytes()
            time.sleep(0.005)

    states = beats()
    first = next(states)
    assert any(state != first for state in states)


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_a_lease_is_not_waited_for(tmp_path: Path) -> None:
    """It says nothing, so it is stale once nothing has changed for long enough."""
    clock = Clock()
    mine = leases(tmp_path, clock=clock)
    os.mkfifo(tmp_path / "part.lease")
    assert mine.take("part") is None
    clock.now += 31
    take(mine).give_back()


@pytest.mark.parametrize("name", ["../..", "..", "a/b"])
def test_an_offer_that_leads_out_of_its_folder_is_none(tmp_path: Path, name: str) -> None:
    run = RunDir(tmp_path / "run")
    run.offer("factors").parent.mkdir(parents=True)
    Offer("token", {}, {}).write(run, "factors")
    assert read_offer(run, "factors")
    for offer in (Offer(name, {}, {}), Offer("token", {}, {}, id=name)):
        offer.write(run, "factors")
        assert read_offer(run, "factors") is None
