"""A Slurm cluster of one node, this machine, for as long as the tests take.

Slurm's own daemons, started by hand with a configuration in a folder of their own: no systemd, no
cgroups, no accounting.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
_STARTUP_S = 60.0
_CONFIGURATION = """
ClusterName=headwater
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
MinJobAge=3600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=8000 State=UNKNOWN
PartitionName=small Nodes={host} Default=YES MaxTime=60 State=UP
PartitionName=closed Nodes={host} Default=NO MaxTime=60 State=DOWN
"""


def why_not() -> str:
    """Why no cluster can be started here; empty where one can."""
    if missing := [name for name in DAEMONS if _daemon(name) is None]:
        return f"no {', '.join(missing)} (apt install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started by root"


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Context in which a cluster runs; gives the variables by which its commands find it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/var/tmp"))  # sockets want short names
    started: list[subprocess.Popen[bytes]] = []
    variables = {"SLURM_CONF": str(folder / "slurm.conf")}
    try:
        _configure(folder)
        started.append(_start(folder, "munged", *_munge_options(folder)))
        _wait(lambda: (folder / "munge.socket").exists(), folder)
        started.append(_start(folder, "slurmctld", "-D", "-i"))
        started.append(_start(folder, "slurmd", "-D"))
        _wait(lambda: _node_state(variables) == "idle", folder)
        yield variables
        _end_jobs(variables, folder)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        shutil.rmtree(folder)


def _configure(folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    text = _CONFIGURATION.format(
        host=socket.gethostname(),
        folder=folder,
        controller_port=_free_port(),
        node_port=_free_port(),
    )
    (folder / "slurm.conf").write_text(text)


def _munge_options(folder: Path) -> tuple[str, ...]:
    return (
        "--foreground",
        "--force",  # its folder is root's alone, not its own account's
        f"--socket={folder}/munge.socket",
        f"--key-file={folder}/munge.key",
        f"--pid-file={folder}/munge.pid",
        f"--seed-file={folder}/munge.seed",
        f"--log-file={folder}/munge.log",
    )


def _start(folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    path = _daemon(name)
    assert path
    with (folder / f"{name}.out").open("wb") as output:
        return subprocess.Popen(
            [path, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SLURM_CONF": str(folder / "slurm.conf")},
        )


def _daemon(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _node_state(variables: dict[str, str]) -> str:
    told = subprocess.run(
        ["sinfo", "--noheader", "--partition=small", "--format=%T"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip()


def _end_jobs(variables: dict[str, str], folder: Path) -> None:
    """Ends what failed tests left behind: a job outlives the daemons that started it."""
    environment = {**os.environ, **variables}
    subprocess.run(["scancel", "--user=root"], env=environment, check=True)

    def are_gone() -> bool:
        told = subprocess.run(
            ["squeue", "--noheader"], env=environment, capture_output=True, check=True
        )
        return not told.stdout.strip()

    _wait(are_gone, folder)


def _wait(is_so: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + _STARTUP_S
    while not is_so():
        if time.monotonic() > deadline:
            logs = [*folder.glob("*.log"), *folder.glob("*.out")]
            told = "\n".join(path.read_text(errors="replace")[-2000:] for path in logs)
            raise AssertionError(f"the cluster does not come up:\n{told}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
