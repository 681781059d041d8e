"""Runs Kronfluence's own tests with the accelerated modules, and with its own beside them.

    uv run --with torchvision python -m bench.kronfluence_tests CHECKOUT [PYTEST_ARGUMENT …]

CHECKOUT is a folder with Kronfluence's `tests`; they run against the installed Kronfluence, without
the hub: `hub_stand_ins` writes the tiny models and data that they would take from it. Prints how
many pass with each kind of module, and the tests that fail with ours alone; exits with 1 if there
are any. Tests that fail with both tell of the installed versions, not of our modules.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console

from bench.hub_stand_ins import write_stand_ins

PROJECT = Path(__file__).resolve().parents[1]
OURS = ["-p", "pipeline.influence.accelerated.linear"]  # to import it registers it


def outcomes(checkout: Path, arguments: list[str]) -> dict[str, bool]:
    """Whether each test passed, by its name; skipped ones are left out."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments],
            cwd=_tests_alone(checkout, Path(folder)),
            env=os.environ | {"PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1", "HF_HOME": folder},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        cases = ElementTree.parse(report).iter("testcase")
        return {
            f"{case.get('classname')}::{case.get('name')}": case.find("failure") is None
            and case.find("error") is None
            for case in cases
            if case.find("skipped") is None
        }


def _tests_alone(checkout: Path, folder: Path) -> Path:
    """A folder without the checkout's own package, which would hide the installed one."""
    write_stand_ins(folder)
    (folder / "tests").symlink_to((checkout / "tests").resolve(), target_is_directory=True)
    return folder


def main() -> None:
    """Prints both counts and the difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", type=Path)
    options, arguments = parser.parse_known_args()
    chosen = arguments or ["tests", "--ignore=tests/gpu_tests"]
    plain = outcomes(options.checkout, chosen)
    ours = outcomes(options.checkout, [*OURS, *chosen])
    console = Console()
    for name, found in (("Kronfluence's modules", plain), ("accelerated modules", ours)):
        console.print(f"{name}: {sum(found.values())} of {len(found)} pass")
    lost = sorted(name for name, passed in ours.items() if not passed and plain.get(name))
    both = sorted(name for name, passed in ours.items() if not (passed or plain.get(name, False)))
    for names, which in ((lost, "the accelerated modules alone"), (both, "both")):
        console.print(f"fail with {which}: {len(names)}")
        for name in names:
            console.print(f"  {name}", highlight=False, soft_wrap=True)
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
