# /// script
# requires-python = "==3.11.*"
# dependencies = ["infini-gram==2.6.0", "numpy>=2", "tqdm", "transformers==5.23.0"]
# ///
"""infini-gram's index and its spans, for `bench.trace`, in an environment that has nothing of ours.

    uv run --script bench/infini_gram_spans.py FOLDER

FOLDER holds tokens.npy, a uint16 for each token with 65,535 before each document, and queries.json.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from infini_gram.engine import InfiniGramEngine  # type: ignore[import-not-found]

_SEPARATOR = 65_535


def main(folder: Path) -> None:
    """Writes summary.json: seconds to build, bytes, milliseconds and spans of each query."""
    index, tokens = folder / "infini-gram", np.load(folder / "tokens.npy")
    index.mkdir()
    tokens.tofile(index / "tokenized.0")
    offsets = np.flatnonzero(tokens == _SEPARATOR).astype(np.uint64) * 2
    offsets.tofile(index / "offset.0")
    begun = time.perf_counter()
    options = {"data_dir": index, "save_dir": index, "token_dtype": "u16", "cpus": 1, "mem": 8}
    command = [sys.executable, "-m", "infini_gram.indexing", "--ulimit", "1024"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    engine = InfiniGramEngine(index_dir=str(index), eos_token_id=0)
    found, times = [], []
    for query in json.loads((folder / "queries.json").read_text()):
        begun = time.perf_counter()
        answer = engine.attribute(query, delim_ids=[], min_len=2, max_cnt=10**9, enforce_bow=False)
        times.append(1000 * (time.perf_counter() - begun))
        found.append([(one["l"], one["r"], one["count"]) for one in answer["spans"]])
    size = sum(path.stat().st_size for path in index.iterdir())
    summary = {"seconds": seconds, "bytes": size, "milliseconds": times, "spans": found}
    (folder / "summary.json").write_text(json.dumps(summary))


if __name__ == "__main__" and sys.argv[1:] != ["--help"]:
    main(Path(sys.argv[1]))
