"""What the screen of rankings costs at a million examples, beside Textual's DataTable.

    uv run python -m bench.rankings [--rows 1000000] [--keep FOLDER]

Makes a run with so many made-up examples, opens it in the dashboard and presses keys. A time is
the processor's from the key until the last paint that follows from it, so that other work on the
machine does not count; in brackets by the clock. The memory is the most that the process had
resident after any key, pages of the mapped files among it. DataTable is given 20,000 rows, since
it takes seconds for these already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase
from typing import Any, NamedTuple

from textual.app import App, ComposeResult
from textual.widgets import DataTable

from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts

PROMPTS = 8
METHODS = ("ekfac", "ekfac_normalized", "bm25")
LAYERS = 2
WORDS, VOCABULARY = 25, 50_000
PEER_ROWS = 20_000
PAGES = 30
PATIENCE_S, STILL_S = 60, 0.2
ENDLESS = ("_follow", "_look_for_newer", "_ask_slurm")
"""Workers that look at the run as long as a screen is open."""
SIZE = (120, 40)
BOUNDS = {"memory, MB": 200.0, "page move, ms": 30.0}
"""Everything else: 100 ms."""

Figure = tuple[float, float]
"""Of the processor, by the clock."""
Figures = dict[str, Figure]


def main() -> None:
    """Makes the run, then measures ours and the peer's, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="keep the run below this folder")
    parser.add_argument("--child", choices=["ours", "peer"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(asyncio.run(ours(asked.keep) if asked.child == "ours" else peer())))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        if not RunDir(folder / "large").settings.exists():
            make_run(RunDir(folder / "large"), asked.rows)
        mine, other = child("ours", folder), child("peer", folder)
    for name, value in mine.items():
        tell(name, value, other.get(name))


def child(which: str, folder: Path) -> Figures:
    """The figures of a fresh process."""
    command = [sys.executable, __file__, "--child", which, "--keep", str(folder)]
    found: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def tell(name: str, mine: Figure, other: Figure | None) -> None:
    """One line: ours, the bound, and DataTable's with the ratio where it has such a thing."""
    bound = BOUNDS.get(name, 100.0)
    clock = "" if name.endswith("MB") else f"({mine[1]:.0f})"
    line = f"{name:<30}{mine[0]:8.1f} {clock:<7} bound {bound:4.0f} "
    line += "ok  " if mine[0] <= bound else "OVER"
    if other is not None:
        line += f"  DataTable of {PEER_ROWS:,}: {other[0]:8.1f}  ratio {mine[0] / other[0]:.3f}"
    print(line)


# A run


def make_run(run: RunDir, rows: int) -> None:
    """What the scores stage would leave of so many examples."""
    import numpy as np

    from pipeline.contract.results.answers import GreedyAnswer, write_answers
    from pipeline.contract.results.lookup_writer import write_lookup
    from pipeline.contract.results.score_file import ScoreMetadata, write_scores
    from pipeline.contract.results.scores import KnownAnswers, ScoresSummary, write_scores_summary

    run.root.mkdir(parents=True)
    run.settings.write_text(render_settings(profile("demo")), encoding="utf-8")
    settings = load_settings(run.settings)
    for stage in ("prepare", "train", "factors", "scores"):
        freshness.finish(stage, freshness.begin(stage, settings, run), settings, run, 1.0)
    prompts = [
        Prompt(id=f"prompt-{n}", prompt=f"Question {n}:", completion=f" answer {n}",
               relevant=tuple(f"doc-{n * 1000 + k:07d}" for k in range(5)))
        for n in range(PROMPTS)
    ]  # fmt: skip
    save_prompts(run.prepared_prompts, prompts)
    write_lookup(run, prompts, examples(rows))
    chance = np.random.default_rng(0)
    named = (*METHODS, *range(LAYERS))
    scores = {name: chance.standard_normal((PROMPTS, rows), np.float32) for name in named}
    metadata = ScoreMetadata(
        prompts=tuple(prompt.id for prompt in prompts), methods=METHODS,
        default_method=METHODS[1], layers=tuple(range(LAYERS)), strategy="ekfac",
        damping="heuristic", fisher="sampled", precision={}, modules=(), examples=rows,
    )  # fmt: skip
    by_method = {name: scores[name] for name in METHODS}
    sizes = {"ekfac": scores["ekfac"][0] ** 2}
    write_scores(run, metadata, by_method, {layer: scores[layer] for layer in range(LAYERS)}, sizes)
    write_answers(
        run, [GreedyAnswer(prompt.id, prompt.prompt, prompt.completion) for prompt in prompts]
    )
    known = KnownAnswers(correct=0, prompts=0)
    summary = ScoresSummary(METHODS[1], METHODS, PROMPTS, rows, (), known, {}, None, (), {})
    write_scores_summary(run, summary)


def examples(rows: int) -> Any:
    """A table of `examples.parquet`, of words whose frequencies fall as in a language."""
    import numpy as np
    import pyarrow as pa

    letters = random.Random(0)
    words = {"".join(letters.choices(ascii_lowercase, k=letters.randint(2, 9)))
             for _ in range(VOCABULARY)}  # fmt: skip
    vocabulary = np.array(letters.sample(sorted(words), len(words)), object)
    drawn = np.random.default_rng(1).zipf(1.2, (rows, WORDS)) % len(vocabulary)
    numbers = np.arange(rows)
    names = [f"doc-{n:07d}" for n in range(rows)]
    return pa.table({
        "example_id": names,
        "document_id": names,
        "text": [" ".join(line) for line in vocabulary[drawn]],
        "source": pa.array(["made-up.jsonl"] * rows),
        "chunk": np.zeros(rows, np.int32),
        "chunks": np.ones(rows, np.int32),
        "n_tokens": np.random.default_rng(2).integers(8, 512, rows).astype(np.int32),
        "duplicate_group": np.where(numbers % 50 == 0, numbers // 100, -1).astype(np.int32),
        "row": numbers,
    })  # fmt: skip


# The screens


KEYS = (
    ("first opening", "I"),
    ("", "escape"),
    ("opening", "I"),
    ("", "enter", "escape"),
    ("another prompt", "j"),
    ("", "enter"),
    ("to the end", "G"),
    ("another method", "M", "j", "enter"),
    ("sort by length", "o"),
    ("sort by group", "o"),
    ("", "o"),
    ("", "o"),
    ("a layer", "M", "j", "enter"),
    ("", "slash"),
    ("filter by a frequent letter", "a"),
    ("", "backspace"),
    ("filter by a rare letter", "q"),
    ("", "backspace"),
    ("filter by an id", *"id:doc-09999"),
    ("", "enter", "escape"),
    ("", "M", "k", "enter"),
    ("", "M", "k", "enter"),
    ("bottom", "b"),
    ("", "b"),
    *[("page move", "pagedown")] * PAGES,
    ("an example", "enter"),
    ("the next example", "n"),
    ("", "escape"),
)
"""What is measured, if anything, and the keys; the last one's time counts. The first key that
needs all examples of a ranking in order (the end, a sort, a filter) pays for that."""
SHOWN = {"opening": range(PEER_ROWS, sys.maxsize), "filter by an id": range(1, PEER_ROWS)}
"""How many rows the table has then."""


async def ours(folder: Path) -> Figures:
    """Every key of the rankings."""
    from tui.widgets.ranking_table import RankingTable

    app = watched(folder, RunDir(folder / "large"))
    times: dict[str, list[Figure]] = {}
    peak = 0.0
    async with app.run_test(size=SIZE) as pilot:
        await asyncio.sleep(3)  # a person has looked at the run's screen
        for name, *keys in KEYS:
            await pilot.press(*keys[:-1])
            began = now()
            app.simulate_key(keys[-1])
            times.setdefault(name, []).append(await quiet(app, began))
            peak = max(peak, resident_mb())
            if name in SHOWN:
                assert app.screen.query_one(RankingTable).count in SHOWN[name]
    found = {f"{name}, ms": median(taken) for name, taken in times.items() if name}
    return {**found, "memory, MB": (peak, peak)}


def watched(folder: Path, run: RunDir | None) -> Any:
    """The dashboard on a run, or on a folder of runs; `painted` says when it last painted."""
    from tui.app import HeadwaterApp

    class Watched(HeadwaterApp):
        painted = Moment(0.0, 0.0, 0.0)
        CSS_PATH = str(
            Path(sys.modules[HeadwaterApp.__module__].__file__ or "").parent / "app.tcss"
        )

        def _display(self, *arguments: Any) -> None:
            super()._display(*arguments)
            self.painted = now()

    return Watched(folder, run)


async def peer() -> Figures:
    """A DataTable with the same columns."""
    chance = random.Random(0)
    rows = [
        (n + 1, f"{chance.gauss(0, 1):+.4f}", f"doc-{n:07d}", chance.randrange(512), "w " * WORDS)
        for n in range(PEER_ROWS)
    ]

    class Peer(App[None]):
        painted = Moment(0.0, 0.0, 0.0)

        def compose(self) -> ComposeResult:
            yield DataTable()

        def _display(self, *arguments: Any) -> None:
            super()._display(*arguments)
            self.painted = now()

    app = Peer()
    found: Figures = {}
    async with app.run_test(size=SIZE) as pilot:
        table = app.query_one(DataTable)
        columns = table.add_columns("rank", "score", "example", "tokens", "text")

        async def timed(act: Callable[[], object]) -> Figure:
            began = now()
            act()
            return await quiet(app, began)

        found["opening, ms"] = found["first opening, ms"] = await timed(
            lambda: table.add_rows(rows)
        )
        found["sort by length, ms"] = await timed(lambda: table.sort(columns[3], reverse=True))
        await pilot.press("g")
        moves = [await timed(table.action_page_down) for _ in range(PAGES)]
        found["page move, ms"] = median(moves)
        found["memory, MB"] = (resident_mb(), resident_mb())
    return found


class Moment(NamedTuple):
    """Seconds."""

    processor: float
    """Of all threads."""
    clock: float
    own: float
    """Of the thread that asks: the screen's."""


def now() -> Moment:
    """This moment."""
    return Moment(time.process_time(), time.perf_counter(), time.thread_time())


async def quiet(app: Any, began: Moment) -> Figure:
    """Milliseconds from `began` to the last paint, once nothing has been painted for some time."""
    while (
        app.painted < began
        or app.painted.clock + STILL_S > time.perf_counter()
        or any(worker.name not in ENDLESS for worker in app.workers)
    ):
        assert time.perf_counter() < began.clock + PATIENCE_S, list(app.workers)
        await asyncio.sleep(0.02)
    taken = app.painted
    return 1000 * (taken.processor - began.processor), 1000 * (taken.clock - began.clock)


def median(figures: list[Figure]) -> Figure:
    """The one in the middle, of each kind."""
    of_processor, by_clock = zip(*figures, strict=True)
    return statistics.median(of_processor), statistics.median(by_clock)


def resident_mb() -> float:
    """Memory of this process, in 10⁶ bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
