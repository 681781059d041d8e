"""Judges our rankings and plain Kronfluence's by models trained again, in one table.

    uv run python -m bench.validate RUN [--wikitext FOLDER] [--bergson] [--scores FILE …]

RUN is the folder of a scored run; with --wikitext it is made first, from the folder's
wiki.valid.tokens (600 paragraphs, nano model with 4,096 pieces of its own, 4 epochs) and prompts
from wiki.test.tokens (30 paragraphs: 16 words, to be followed by the next 16). Plain Kronfluence
fits and scores with the run's model and settings, a fixed batch and padding to the longest, as its
examples do; --bergson adds Bergson's rankings, --scores other tools' [prompts, examples] tables.
Prints what `headwater validate` prints.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tomlkit

from bench.bergson_rankings import bergson_rankings
from bench.plain_kronfluence import plain_scores
from pipeline.contract.files import write_text
from pipeline.contract.results.validation import read_validation
from pipeline.contract.run.new_run import change_settings, write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts
from pipeline.contract.settings.schema import Settings
from tui.printed.validation import text

PARAGRAPHS, PROMPTS, WORDS = 600, 30, 16


def make_wikitext_run(run: RunDir, source: Path) -> None:
    """Writes the run and its corpus beside it."""
    corpus = run.root.parent / f"{run.name}-corpus"
    training = paragraphs(source / "wiki.valid.tokens")[:PARAGRAPHS]
    lines = [json.dumps({"id": f"w{n}", "text": one}) for n, one in enumerate(training)]
    write_text(corpus / "train.jsonl", "\n".join(lines) + "\n")
    save_prompts(corpus / "prompts.jsonl", held_out_prompts(source / "wiki.test.tokens"))
    settings = Settings.model_validate(
        {
            "data": {"path": str((corpus / "train.jsonl").resolve()), "max_tokens": 128},
            "tokenizer": {"source": "train", "vocab_size": 4096},
            "model": {"init": "scratch", "preset": "nano"},
            "train": {"epochs": 4.0, "learning_rate": 2e-3, "batch_tokens": 512},
            "factors": {"strategies": ["ekfac", "identity"]},
            "prompts": {"path": str((corpus / "prompts.jsonl").resolve())},
            "validation": {"seeds": 2},
        }
    )
    write_run(run, render_settings(settings), origin=corpus / "settings.toml")
    work(run, "prepare", "train", "factors", "scores")


def paragraphs(path: Path) -> list[str]:
    """Paragraphs of at least three times WORDS words; headings are left out."""
    found = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [one for one in found if not one.startswith("=") and len(one.split()) >= 3 * WORDS]


def held_out_prompts(path: Path) -> list[Prompt]:
    """Evenly spaced paragraphs of another part of the corpus."""
    there = paragraphs(path)
    prompts = []
    for number in range(PROMPTS):
        words = there[number * len(there) // PROMPTS].split()
        prompt, completion = " ".join(words[:WORDS]), " ".join(words[WORDS : 2 * WORDS])
        prompts.append(Prompt(id=f"test-{number}", prompt=prompt, completion=f" {completion}"))
    return prompts


def work(run: RunDir, *stages: str) -> None:
    """Runs stages as `headwater run` does."""
    command = [sys.executable, "-m", "tui", "--runs", str(run.root.parent), "run", *stages]
    subprocess.run([*command, "--run", run.name], check=True)


def judge(run: RunDir, others: Sequence[Path]) -> str:
    """Plain Kronfluence's scores beside ours and the others'."""
    folder = run.root.parent / f"{run.name}-plain"
    folder.mkdir(exist_ok=True)
    settings = load_settings(run.settings)
    files = [*others]
    for strategy in settings.factors.strategies:
        files.append(folder / f"plain_{strategy}.npy")
        if not files[-1].exists():
            np.save(files[-1], plain_scores(run, strategy, batch_size=8))
    document = tomlkit.parse(run.settings.read_text(encoding="utf-8"))
    document.setdefault("validation", tomlkit.table())["outside"] = [
        str(file.resolve()) for file in files
    ]
    change_settings(run, tomlkit.dumps(document))
    work(run, "validate")
    return text(read_validation(run))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--wikitext", type=Path)
    parser.add_argument("--bergson", action="store_true", help="beside its rankings, too")
    parser.add_argument("--scores", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    run = RunDir(options.run)
    if options.wikitext and not run.settings.exists():
        make_wikitext_run(run, options.wikitext)
    others = [*options.scores]
    if options.bergson:
        others += bergson_rankings(run, run.root.parent / f"{run.name}-bergson")
    print(judge(run, others))


if __name__ == "__main__":
    main()
