"""Runs a peer's script in an environment that uv makes for it, on the same tokens.

Imports nothing that replaces Kronfluence's modules: what stays plain is compared with them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.contract.files import read_json, write_text
from pipeline.corpus.examples import TokenDataset


class PeerError(Exception):
    """A peer's script failed; its text is the end of what the script said."""


class NotInstalledError(PeerError):
    """No environment could be made for a peer's script."""


def run_peer(
    script: Path,
    folder: Path,
    examples: TokenDataset,
    prompts: TokenDataset,
    arguments: Sequence[str],
) -> dict[str, Any]:
    """Has a peer score what `folder`'s model makes of them; returns its summary.json.

    Raises:
        NotInstalledError: uv is not there, or cannot install what the script needs.
        PeerError: the script failed.
    """
    write_rows(folder / "train.jsonl", examples)
    write_rows(folder / "prompts.jsonl", prompts)
    try:
        tried = _called(script, "--help")  # makes the environment, and imports the peer
    except FileNotFoundError as error:
        raise NotInstalledError("uv is not there") from error
    if tried.returncode:
        raise NotInstalledError(_end_of(tried.stderr))
    done = _called(script, str(folder), *arguments)
    if done.returncode:
        raise PeerError(_end_of(done.stderr))
    summary: dict[str, Any] = read_json(folder / "summary.json")
    return summary


def _called(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["uv", "run", "--script", str(script), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def _end_of(said: str) -> str:
    return said.strip()[-1500:]


def write_rows(path: Path, rows: TokenDataset) -> None:
    """A line of JSON for each: input_ids, labels, length."""
    lines = []
    for index, length in enumerate(rows.lengths):
        tokens, labels = rows[index]["input_ids"].tolist(), rows[index]["labels"].tolist()
        lines.append(json.dumps({"input_ids": tokens, "labels": labels, "length": length}) + "\n")
    write_text(path, "".join(lines))
