"""Runs small enough to put through the real stages in a test."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import ModuleType
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline.contract.files import write_text
from pipeline.contract.results.examples import (
    NO_GROUP,
    CorpusSummary,
    ExampleRow,
    write_corpus_summary,
    write_examples,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.checksums import take_checksums
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.tokenizers import train_tokenizer


def run_here(run: RunDir, *modules: ModuleType) -> None:
    """Stages, by their modules, as their processes would run them."""
    settings = load_settings(run.settings)
    for module in modules:
        name = module.__name__.rpartition(".")[2]
        fingerprint = freshness.begin(name, settings, run)
        module.run(settings, run, EventWriter(run.events, name))
        freshness.finish(name, fingerprint, settings, run, 0.1)


def as_written(run: RunDir, stage: str) -> None:
    """Takes the stage's files, some of which a test has exchanged, for what it wrote."""
    done = freshness.Done.read(stage, run)
    assert done
    take_checksums(stage, done.id, run.done(stage).read_bytes(), run).write(stage, run)


def prepare_run(root: Path, **sections: dict[str, Any]) -> RunDir:
    """A run as the prepare stage leaves it; `sections` go on top of its settings."""
    run, chosen = RunDir(root), _settings(sections)
    prompts = [
        Prompt(id="river", prompt="The river runs", completion=" past the mill", relevant=("d0",)),
        Prompt(id="baker", prompt="The baker sells", completion=" bread"),
    ]
    write_text(run.settings, render_settings(chosen))
    save_prompts(run.prompts, prompts)
    fingerprint = freshness.begin("prepare", chosen, run)
    texts = sentences(56)
    tokenizer = train_tokenizer(texts, vocab_size=300)
    tokenizer.save_pretrained(run.tokenizer)
    rows = _rows(texts, tokenizer)
    write_examples(run.examples, rows[8:])
    write_examples(run.validation, rows[:8])
    save_prompts(run.prepared_prompts, prompts)
    write_corpus_summary(run, _prepare_summary(rows, len(tokenizer)))
    freshness.mark_corpus(chosen, run)
    freshness.finish("prepare", fingerprint, chosen, run, seconds=0.1)
    return run


def finish_run(root: Path) -> RunDir:
    """A run through every stage, as little as possible in each."""
    from pipeline.contract.results.claims import Claims
    from pipeline.contract.run.proving import write_claim
    from pipeline.stages import (
        benchmark,
        evaluate,
        factors,
        generate,
        index,
        inspect,
        prove,
        report,
        scores,
        train,
        validate,
    )

    rows = root / "benchmarks"
    _save_benchmark_rows(rows)
    run = prepare_run(
        root,
        train={"epochs": 1.0},
        modules={"layers": "0-1"},
        prompts={"max_new_tokens": 8},
        generate={"max_new_tokens": 8},
        benchmark={"chosen": ["boolq"], "data": str(rows), "ask": ["texts"], "shots": 0},
        index={"features": 64},
        validation={
            "seeds": 1,
            "removed": 2,
            "subsets": 0,
            "tail_patch": 1,
            "dampings": [1e-4],
            "fisher_seeds": 0,
        },
    )
    run_here(run, train, factors, scores, inspect, generate, evaluate, benchmark, index, validate)
    claims = Claims(run)
    first = claims.first("river", 2)
    write_claim(run, claims.claim("river", first, claims.first_told(2), by_steps=True))
    run_here(run, prove)
    run_here(run, report)  # the last: it tells of all the others
    return run


def _save_benchmark_rows(folder: Path) -> None:
    rows = [
        {"question": "is snow white", "passage": "Snow is white.", "answer": True},
        {"question": "is snow black", "passage": "Snow is white.", "answer": False},
    ]
    path = folder / "boolq" / "default" / "validation.jsonl"
    write_text(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def _settings(sections: dict[str, dict[str, Any]]) -> Settings:
    """Nano from scratch on the CPU with one thread, so that sums are added in one order."""
    values: dict[str, dict[str, Any]] = {
        "run": {"device": "cpu", "threads": 1},
        "data": {"source": "demo", "max_tokens": 64},
        "tokenizer": {"source": "train", "vocab_size": 300},
        "model": {"init": "scratch", "preset": "nano"},
        "train": {"epochs": 2.0, "learning_rate": 3e-3, "batch_tokens": 256},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return Settings.model_validate(values)


def sentences(count: int) -> list[str]:
    """Texts that are the same every time."""
    rng = random.Random(0)
    subjects = ("The baker", "A miller", "The old mason", "Our neighbour", "The river")
    verbs = ("sells", "brings", "looks for", "walks past", "never speaks of")
    objects = ("bread", "the mill", "a grey stone", "the harbour at night", "salt and flour")
    return [
        f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(objects)}."
        + " And so it goes on." * rng.randrange(4)
        for _ in range(count)
    ]


def _rows(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[ExampleRow]:
    """Documents v0 … v7 for validation, then d0 …; the last two rows are chunks of one document."""
    rows: list[ExampleRow] = []
    for number, text in enumerate(texts):
        name = f"v{number}" if number < 8 else f"d{min(number, len(texts) - 2) - 8}"
        chunk = int(number == len(texts) - 1)
        chunks = 2 if number >= len(texts) - 2 else 1
        ends = [tokenizer.eos_token_id] if chunk == chunks - 1 else []
        tokens = [
            tokenizer.bos_token_id,
            *tokenizer.encode(text, add_special_tokens=False),
            *ends,
        ]
        rows.append(
            ExampleRow(
                example_id=f"{name}#{chunk}" if chunks > 1 else name,
                document_id=name,
                chunk=chunk,
                chunks=chunks,
                text=text,
                tokens=tokens,
                n_tokens=len(tokens),
                duplicate_group=NO_GROUP,
                source="sentences",
                row=number,
            )
        )
    return rows


def _prepare_summary(rows: list[ExampleRow], vocab_size: int) -> CorpusSummary:
    return CorpusSummary(
        source="demo",
        documents_read=len(rows) - 1,
        empty=0,
        unreadable=0,
        documents=len(rows) - 1,
        chunked_documents=1,
        examples=len(rows) - 8,
        validation_examples=8,
        tokens=sum(row.n_tokens for row in rows),
        duplicate_groups=0,
        duplicates=0,
        vocab_size=vocab_size,
    )
