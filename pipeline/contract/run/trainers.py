"""How many processes train models again on this machine's CPU, where a person has said nothing."""

from __future__ import annotations

from pipeline.contract.container import memory_limit, usable_cpus
from pipeline.contract.files import read_object
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings

SMALL = 10_000_000
"""Parameters up to which a second thread takes more of the processor's time than it gives back: a
training of the demo's model (1.1 million) took 44 s of it with one thread and 57 s with two."""
_PROCESS_BYTES = 2 << 30
"""What one process takes with its libraries, a small model and its batches, generously."""


def one_a_core(settings: Settings, parameters: int, trainings: int, cpus: int, free: int) -> int:
    """A process a core for a small model, where threads and workers have been left alone and half
    of the `free` bytes allow it; else 0."""
    chosen = settings.run
    if chosen.workers != 1 or chosen.threads or parameters > SMALL:
        return 0
    room = free // (2 * _PROCESS_BYTES)  # half of the memory is left to others
    return max(1, min(cpus, trainings, room))


def at_once(settings: Settings, run: RunDir, parameters: int, trainings: int) -> int:
    """How many trainings will run at once on this machine, foreseen without the libraries."""
    found = (read_object(run.manifest) or {}).get("gpus")
    gpus = len(found) if isinstance(found, list) and settings.run.device != "cpu" else 0
    count = 0
    if not gpus:
        count = one_a_core(settings, parameters, trainings, usable_cpus(), _free_bytes())
    workers = settings.run.workers
    return max(1, min(trainings, count or (gpus if workers == "gpus" else workers)))


def _free_bytes() -> int:
    """Memory that may still be taken here."""
    limit = memory_limit()
    with open("/proc/meminfo", encoding="ascii") as lines:
        sizes = dict(line.split(":", 1) for line in lines)
    available = int(sizes["MemAvailable"].split()[0]) << 10
    return min(available, limit.left) if limit else available
