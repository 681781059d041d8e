"""Inputs that reach new lines: `python -m tests.fuzz.by_coverage SEED SECONDS FOLDER TARGET`.

In need of atheris, which watches the modules that are imported here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pipeline", "tui", "tests.fuzz", "textual._xterm_parser"]):
    from tests.fuzz.targets import TARGETS


def main(seed: str, seconds: str, folder: str, name: str) -> None:
    """Ends the process by itself."""
    found = Path(folder) / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(TARGETS[name].seeds):
        (found / f"seed-{number}").write_bytes(content)
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={folder}/"]
    options += ["-max_len=8192", "-rss_limit_mb=4096", "-timeout=60", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(found)], TARGETS[name].read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
