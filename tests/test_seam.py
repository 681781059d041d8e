"""Every reader of the results room before a run that the stages themselves wrote.

A reader without a row in `READERS` or `LOADERS` fails by its name: whoever adds one says there what
it must find.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.contract import results
from pipeline.contract.errors import DamagedResultError, MissingResultError
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from tests.seam_readers import LOADERS, READERS

SHARED = ("common", "migrations", "tensors", "plan")
"""No artefact's own: what the readers are made of; a plan is made before any stage has finished,
see `tests/pipeline/planning`."""
PREFIXES = ("load_", "read_", "find_", "iterate_")
MAY_BE_SHORTER = (".jsonl", ".csv", ".md")
"""Of text by lines the half may be whole in itself; then it must be told from the whole."""


def public_readers() -> Iterator[str]:
    """Readers by module and name, found in the room itself: functions by their names, classes by
    taking a run."""
    for module in pkgutil.iter_modules(results.__path__):
        found = importlib.import_module(f"{results.__name__}.{module.name}")
        for name, one in vars(found).items():
            own = getattr(one, "__module__", "") == found.__name__ and not name.startswith("_")
            if module.name not in SHARED and own and is_reader(name, one):
                yield f"{module.name}.{name}"


def is_reader(name: str, one: object) -> bool:
    if inspect.isclass(one):
        return "run" in inspect.signature(one.__init__).parameters
    return inspect.isfunction(one) and name.startswith(PREFIXES)


@pytest.fixture
def copy(finished_run: RunDir, tmp_path: Path) -> RunDir:
    """The run again, to be damaged: a file that is replaced leaves the first one as it is."""
    root = tmp_path / "run"
    return RunDir(shutil.copytree(finished_run.root, root, copy_function=os.link))


@pytest.mark.parametrize("name", list(public_readers()))
def test_no_reader_is_left_out(name: str) -> None:
    assert name in READERS or name in LOADERS, f"{name} has no row in tests/seam_readers.py"


@pytest.mark.parametrize("name", READERS)
def test_a_reader_finds_what_the_stages_wrote(finished_run: RunDir, name: str) -> None:
    reader = READERS[name]
    assert reader.is_right(finished_run, reader.read(finished_run))


@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_gives_the_same_and_says_that_it_is_fresh(finished_run: RunDir, name: str) -> None:
    load, _, reader = LOADERS[name]
    found = load(finished_run)
    assert found.fresh
    assert READERS[reader].is_right(finished_run, found.value)


@pytest.mark.parametrize("name", LOADERS)
def test_a_stage_that_has_not_finished_has_no_results(copy: RunDir, name: str) -> None:
    load, stage, _ = LOADERS[name]
    copy.done(stage).unlink()
    with pytest.raises(MissingResultError, match=f"the {stage} stage has not finished"):
        load(copy)


@pytest.mark.parametrize("name", READERS)
def test_half_a_file_is_never_taken_for_the_whole(copy: RunDir, name: str) -> None:
    reader = READERS[name]
    for path in reader.files(copy):
        whole, content = reader.read(copy), path.read_bytes()
        path.unlink()
        path.write_bytes(content[: len(content) // 2])
        if path.suffix not in MAY_BE_SHORTER:
            with pytest.raises((DamagedResultError, MissingResultError)):
                reader.read(copy)
            continue
        try:
            assert len(reader.read(copy)) < len(whole)
        except (DamagedResultError, MissingResultError):
            assert path.exists()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", READERS)
def test_no_reader_waits_for_a_pipe(copy: RunDir, name: str) -> None:
    reader = READERS[name]
    for stage in STAGES:  # as in a run that others made: nothing says what its files were
        copy.checksums(stage).unlink(missing_ok=True)
    for path in reader.files(copy):
        whole = path.rename(path.with_name("whole"))
        os.mkfifo(path)
        with pytest.raises((DamagedResultError, MissingResultError)):
            reader.read(copy)
        whole.replace(path)


def test_no_reader_loads_pandas(finished_run: RunDir) -> None:
    """PyArrow does for a filter, a value that it is handed, and a table of Python's objects: half a
    second, and four on a busy machine."""
    code = (
        "import sys; from pathlib import Path; from tests.seam_readers import LOADERS, READERS; "
        "from pipeline.contract.run.run_dir import RunDir; run = RunDir(Path(sys.argv[1])); "
        "assert 'pandas' not in sys.modules\n"
        "readers = [(name, reader.read) for name, reader in READERS.items()]\n"
        "for name, read in [*readers, *((name, load) for name, (load, *_) in LOADERS.items())]:\n"
        "    read(run)\n"
        "    if 'pandas' in sys.modules:\n"
        "        sys.exit(f'{name} loads pandas')\n"
    )
    command = [sys.executable, "-c", code, str(finished_run.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
