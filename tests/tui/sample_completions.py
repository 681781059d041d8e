"""Two runs as a repair leaves them: the second on the data that the first one's prompts sorted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pipeline.contract.files import write_json, write_text
from pipeline.contract.results.curation import Curation
from pipeline.contract.results.generation import (
    GeneratedAnswer,
    GeneratedPair,
    Generation,
    write_generation,
)
from pipeline.contract.run.new_run import clone_onto
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, save_prompts
from tests.tui import sample_run

PROMPTS = (
    Prompt(id="bad-0", prompt="He drinks", completion=" ink", set="bad"),
    Prompt(id="bad-1", prompt="She drinks", completion=" glue", set="bad"),
    Prompt(id="good-0", prompt="The owl eats", completion=" voles"),
    Prompt(id="good-1", prompt="The cow eats", completion=" grass"),
    Prompt(id="open", prompt="Once upon a time"),
)
BEFORE, AFTER = (-0.5, -0.25, -1.0, -2.0, None), (-4.5, -8.25, -0.5, -4.0, None)


def repaired_runs(folder: Path) -> tuple[RunDir, RunDir]:
    """`before`, and `after` on what stays of its data; the last prompt has no completion."""
    before = sample_run.new_run(folder / "runs", "before")
    made = _curation(folder / "data")
    save_prompts(before.prepared_prompts, list(PROMPTS[:-1]))
    after = RunDir(folder / "runs" / "after")
    clone_onto(before, after, made.kept_file, made.held_out_file)
    for run, figures in ((before, BEFORE), (after, AFTER)):
        sample_run.finish(run, "prepare", "train", "generate")
        save_prompts(run.prepared_prompts, list(PROMPTS))
        write_likelihoods(run, figures)
    return before, after


def write_likelihoods(run: RunDir, figures: tuple[float | None, ...]) -> None:
    """What the generate stage would say of the prompts' completions."""
    pairs = [
        GeneratedPair(
            prompt.id,
            prompt.prompt,
            prompt.completion,
            GeneratedAnswer("", "end", None, None),
            GeneratedAnswer("", "end", ln_p, None if ln_p is None else 2),
        )
        for prompt, ln_p in zip(PROMPTS, figures, strict=True)
    ]
    write_generation(run, pairs, Generation(len(pairs), {}, 0, ()))


def _curation(out: Path) -> Curation:
    made = Curation(
        run_name="before",
        ranked_for="the prompts of set bad",
        prompts=("bad-0", "bad-1"),
        left_out=(),
        method="ekfac_normalized",
        rows=3,
        unreadable=0,
        trained=3,
        kept=2,
        dropped=1,
        near_duplicates=0,
        out=str(out),
    )
    write_text(made.kept_file, '{"id": "a", "text": "An owl."}\n{"id": "b", "text": "A cow."}\n')
    write_json(made.record_file, asdict(made))
    return made
