"""Has a text traced word for word, by a process of its own: it needs the tokenizer's library."""

from __future__ import annotations

import json
import subprocess

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.spans import TextTrace, trace_of
from pipeline.contract.run.run_dir import RunDir


def trace_text(run: RunDir, text: str) -> TextTrace:
    """Asks for the spans of a text and waits for them: seconds.

    Raises:
        HeadwaterError: the run is not prepared, or its examples are damaged.
    """
    done = subprocess.run(
        python_command("-m", "pipeline.verbatim", str(run.root)),
        capture_output=True,
        input=text.encode(),
        check=False,
        env=child_environment(),
    )
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[
            -1
        ]
        raise HeadwaterError(f"the text could not be traced: {last}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "trace" in answer:
        return trace_of(answer["trace"])
    error = HeadwaterError(answer["error"], answer["hint"])
    error.exit_code = answer["exit_code"]
    raise error
