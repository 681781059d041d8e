"""Traces a text, that of stdin: `python -m pipeline.verbatim RUN_DIR BEGINS [built]`.

What stands from the letter BEGINS on is judged. With `built` no index is made: without one the
trace is null. Prints one JSON object: {"trace": …}, or an error's record.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.libraries import do_without, restrain_libraries

restrain_libraries()
do_without("torch", "scipy", "sklearn")  # a tokenizer needs none, and they take seconds to import

from pipeline.ask.parts import parts  # noqa: E402 - after the restraint
from pipeline.contract.errors import HeadwaterError, disk_errors_explained  # noqa: E402
from pipeline.contract.results.common import require_finished  # noqa: E402
from pipeline.contract.results.spans import TextTrace  # noqa: E402
from pipeline.contract.run.run_dir import RunDir  # noqa: E402
from pipeline.contract.settings.loading import load_settings  # noqa: E402
from pipeline.pretrained.loading import load_tokenizer_of  # noqa: E402
from pipeline.verbatim.indexing import has_span_index, open_span_index  # noqa: E402
from pipeline.verbatim.tracing import trace_text  # noqa: E402


def main(run: RunDir, text: str, begins: int, only_built: bool) -> int:
    """Answers a request."""
    try:
        with disk_errors_explained(run.root):
            found = _trace(run, text, begins, only_built)
            answer: dict[str, Any] = {"trace": found and asdict(found)}
    except HeadwaterError as error:
        answer = error.record()
    print(json.dumps(answer))
    return 0


def _trace(run: RunDir, text: str, begins: int, only_built: bool) -> TextTrace | None:
    require_finished(run, "prepare")
    there = [part for part in parts(load_settings(run.settings), run) if part.examples.exists()]
    if only_built and not all(has_span_index(run, part.examples) for part in there):
        return None
    indexes = [open_span_index(run, part.examples) for part in there]
    built = tuple(
        f"{index.built}: {len(index.ids):,} examples{f' of {part.source}' * bool(part.source)} "
        "indexed"
        for part, index in zip(there, indexes, strict=True)
        if index.built
    )
    tokenizer = load_tokenizer_of(run.tokenizer, local_files_only=True)
    return replace(trace_text(text, tokenizer, indexes, begins), built=built)


if __name__ == "__main__":
    folder, first, *built = sys.argv[1:]
    asked = sys.stdin.buffer.read().decode()
    sys.exit(main(RunDir(Path(folder)), asked, int(first), only_built=bool(built)))
