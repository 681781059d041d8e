"""What the span index of `headwater trace` costs, and how fast it answers, beside infini-gram.

    uv run python -m bench.trace [--tokens 10000000] [--queries 100] [--python PYTHON] [--alone]

Made-up documents of 512 tokens, drawn by Zipf's law from a vocabulary of 30,000. A query has 100
tokens: stretches of 5 to 30 that stand in the documents, and as many that are drawn anew. Ours is
the index of tokens alone, without that of folded text, which infini-gram does not make. A query is
the search for all maximal spans, and for every place of those of two tokens or more, the
index mapped into memory. Ends with an error
where the two find other spans of two tokens or more. PYTHON has infini-gram 2.6.0; without it uv
makes an environment. With --alone ours is measured without infini-gram: 100,000,000 tokens take
2.2 GiB then.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.contract.files import read_json, write_text
from pipeline.verbatim.suffixes import SuffixIndex, joined, suffix_array

_DOCUMENT = 512
_VOCABULARY = 30_000
_QUERY = 100
_SEPARATOR = 65_535
_PEER = Path(__file__).with_name("infini_gram_spans.py")

Found = list[list[tuple[int, int, int]]]
"""For each query its spans: start, end, count."""


def main() -> None:
    """Builds both indexes, puts the same queries to both, and prints what they take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--python")
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    documents = made_up(rng, options.tokens).reshape(-1, _DOCUMENT)
    queries = [query(rng, documents) for _ in range(options.queries)]
    table = Table("", "build s", "bytes a token", "ms a query: median", "largest")
    with tempfile.TemporaryDirectory() as folder:
        ours, spans = measured(Path(folder), documents, queries)
        rows = {"headwater": ours}
        if not options.alone:
            rows["infini-gram 2.6.0"] = beside(Path(folder), documents, queries, options.python)
    for name, one in rows.items():
        times = one["milliseconds"]
        row = one["seconds"], one["bytes"] / documents.size, np.median(times), max(times)
        table.add_row(name, *(f"{value:.2f}" for value in row))
    Console().print(table)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{documents.size:,} tokens; {most:.2f} GiB of memory at most")
    for peer in list(rows.values())[1:]:
        if [[tuple(span) for span in found] for found in peer["spans"]] != spans:
            raise SystemExit("the two found different spans")
    print(f"{sum(map(len, spans)):,} spans of {len(queries)} queries, with their counts")


def made_up(rng: np.random.Generator, count: int) -> NDArray[np.uint16]:
    """Tokens [count], rounded down to whole documents; the likelihood of rank r is ∝ 1 / r."""
    weights = np.cumsum(1 / np.arange(1, _VOCABULARY + 1))
    drawn = rng.random(count // _DOCUMENT * _DOCUMENT) * weights[-1]
    ranks: NDArray[np.uint16] = np.searchsorted(weights, drawn, "right").astype(np.uint16)
    return ranks


def query(rng: np.random.Generator, documents: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Tokens [100], copied and drawn stretches by turns."""
    stretches: list[NDArray[np.uint16]] = []
    while sum(map(len, stretches)) < _QUERY:
        size = int(rng.integers(5, 31))
        start = rng.integers(_DOCUMENT - size)
        stretches.append(documents[rng.integers(len(documents)), start : start + size])
        stretches.append(made_up(rng, _DOCUMENT)[:size])
    return np.concatenate(stretches)[:_QUERY].astype(np.int64)


def measured(
    folder: Path, documents: NDArray[np.uint16], queries: list[NDArray[np.int64]]
) -> tuple[dict[str, Any], Found]:
    """Seconds, bytes and milliseconds of our index, and the spans of two tokens or more."""
    begun = time.perf_counter()
    symbols = joined(list(documents))
    np.save(folder / "tokens_ours.npy", symbols)
    np.save(folder / "suffixes.npy", suffix_array(symbols))
    seconds = time.perf_counter() - begun
    files = [folder / "tokens_ours.npy", folder / "suffixes.npy"]
    index = SuffixIndex(*(np.load(file, mmap_mode="r") for file in files))
    found: Found = []
    times = []
    for one in queries:
        begun = time.perf_counter()
        spans = list(index.spans(one))
        for span in spans:
            if span.length > 1:
                index.positions(span)
        times.append(1000 * (time.perf_counter() - begun))
        found.append(
            [
                (span.start, span.start + span.length, span.places)
                for span in spans
                if span.length > 1
            ]
        )
    size = sum(file.stat().st_size for file in files)
    return {"seconds": seconds, "bytes": size, "milliseconds": times}, found


def beside(
    folder: Path,
    documents: NDArray[np.uint16],
    queries: list[NDArray[np.int64]],
    python: str | None,
) -> dict[str, Any]:
    """The same of infini-gram, with its spans."""
    separated = np.full((len(documents), _DOCUMENT + 1), _SEPARATOR, np.uint16)
    separated[:, 1:] = documents
    np.save(folder / "tokens.npy", separated.reshape(-1))
    write_text(folder / "queries.json", json.dumps([one.tolist() for one in queries]))
    way = [python] if python else ["uv", "run", "--script"]
    subprocess.run([*way, str(_PEER), str(folder)], check=True)
    summary: dict[str, Any] = read_json(folder / "summary.json")
    return summary


if __name__ == "__main__":
    main()
