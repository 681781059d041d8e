"""Rankings on stdout: of prompts, with what a score means, and of sets of prompts."""

from __future__ import annotations

import io
from collections.abc import Sequence

from pipeline.contract.files import write_csv
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.rankings import End, RankedExample
from pipeline.contract.results.scores import (
    nats_per_example,
    raw_strategy,
    read_scores_summary,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.wording import why
from pipeline.contract.words import other_answer
from tui.printed.tables import Row, require_fresh
from tui.readers.clean import clean

_EXCERPT = 160


def set_rows(
    run: RunDir, name: str, method: str | None, end: End, count: int
) -> tuple[str, list[RankedExample]]:
    """The `count` most extreme examples of one end, for a set of prompts as one query: what stands
    above the rows, and the rows.

    Raises:
        MissingResultError: the scores stage has not finished, or lacks the set's prompts.
        UsageError: there is no such set or method; names those that are.
    """
    from pipeline.contract.results.lookup import Corpus  # NumPy takes a while
    from pipeline.contract.results.sets import set_ranking, set_row

    require_fresh(run, "scores")
    found, corpus = set_ranking(run, name, method), Corpus(run)
    taken = found.order[:count] if end == "top" else found.order[::-1][:count]
    heading = f"set {clean(name)} · {found.method} · {end}\n({found.described()})\n"
    rows = [
        RankedExample(
            prompt_id=set_row(name),
            method=found.method,
            end=end,
            rank=rank,
            score=float(found.scores[example.position]),
            example_id=example.id,
            document_id=example.document_id,
            chunk=example.chunk,
            chunks=example.chunks,
            text=corpus.text(example.position),
            n_tokens=example.n_tokens,
            duplicate_group=example.group,
            source=example.source,
            row=example.row,
            relevant=None,
            scores={},
        )
        for rank, example in enumerate(corpus.examples(taken), start=1)
    ]
    return heading, rows


def set_text(heading: str, rows: Sequence[RankedExample]) -> str:
    """A set's ranking for reading."""
    return heading + "".join(
        f"{row.rank:>4}  {row.score:>11.4g}  {clean(row.example_id)}"
        f"  ({row.n_tokens} tokens)\n      {clean(row.text, _EXCERPT)}\n"
        for row in rows
    )


def rows_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV with a header; empty where there are none."""
    out = io.StringIO()
    if rows:
        write_csv(out, list(rows[0]), rows)
    return out.getvalue()


def ranking_records(run: RunDir, examples: Sequence[RankedExample]) -> list[Row]:
    """Ranked examples by their columns, and what a score means: `nats`, by how many the prompt's
    loss falls if the example counted once more; None where a score is no change of the loss."""
    count = read_scores_summary(run).examples
    return [{**row.record(), "nats": _nats(row, count)} for row in examples]


def _nats(row: RankedExample, examples: int) -> float | None:
    strategy = raw_strategy(row.method, row.scores)
    raw = row.scores[strategy] if strategy else None
    return None if raw is None else nats_per_example(raw, examples)


def ranking_text(run: RunDir, examples: Sequence[RankedExample]) -> str:
    """Ranked examples for reading."""
    prompts = {prompt.id: prompt for prompt in read_prompts(run)}
    count = read_scores_summary(run).examples
    return "".join(_reading(row, prompts.get(row.prompt_id), count) for row in examples)


def _reading(row: RankedExample, prompt: Prompt | None, examples: int) -> str:
    set_against = prompt is not None and prompt.instead is not None
    asked = f" · {clean(why(prompt.completion, prompt.instead))}" if prompt and set_against else ""
    nats = _nats(row, examples)
    meaning = f"÷ {examples:,} examples = {nats:.2g} nats" if nats is not None else ""
    heading = f"\n{clean(row.prompt_id)} · {row.method} · {row.end}{asked}\n"
    other = None
    if prompt and row.end == "bottom":
        other = other_answer(prompt.prompt, prompt.completion, row.text)
    reason = f"\n      same words before, another answer: {clean(other)}" if other else ""
    mark = " ★" if row.relevant else ""
    facts = ", ".join(filter(None, (f"{row.n_tokens} tokens", meaning, clean(row.source_label))))
    return (
        (heading if row.rank == 1 else "")
        + f"{row.rank:>4}  {row.score:>11.4g}  {clean(row.example_id)}{mark}"
        + f"  ({facts})\n      {clean(row.text, _EXCERPT)}{reason}\n"
    )
