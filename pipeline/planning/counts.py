"""How much there is to do: as a run's corpus says, or as the settings let one expect."""

from __future__ import annotations

import math
from pathlib import Path

from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.results.plan import Counts
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import load_prompts, query_count
from pipeline.contract.settings.schema import Settings
from pipeline.corpus import demo
from pipeline.corpus.examples import TokenDataset

_LETTERS = 4
"""Bytes of text to a token, about."""


def counts_of_run(run: RunDir, settings: Settings) -> Counts:
    """Of a run whose corpus is prepared.

    Raises:
        MissingResultError, DamagedResultError: its corpus is not there, or not whole.
    """
    lengths = TokenDataset.of_examples(run).lengths
    prompts = query_count(read_prompts(run, settings.prompts.use_generated))
    return Counts(len(lengths), sum(lengths), max(lengths, default=1), prompts, "the run's corpus")


def expected_counts(settings: Settings, examples: int = 0, prompts: int = 0) -> Counts:
    """Before the corpus is read; `examples` and `prompts`: as a person says, 0 = not said.

    Raises:
        UsageError: nobody can know the number of examples.
        SettingsError: the prompts cannot be read.
    """
    longest = settings.data.max_tokens
    asked = prompts or _prompts(settings)
    if examples:
        return Counts(
            examples, examples * longest, longest, asked, "--examples, all of full length"
        )
    texts = _text_bytes(settings)
    kept = 1 - settings.data.validation_fraction
    tokens = max(1, round(kept * sum(texts) / _LETTERS))
    pieces = sum(math.ceil(size / _LETTERS / longest) for size in texts)
    count = max(1, round(kept * pieces))
    return Counts(
        count, tokens, min(longest, tokens), asked, f"the text's bytes, {_LETTERS} to a token"
    )


def _text_bytes(settings: Settings) -> list[int]:
    """Bytes of the corpus's documents, or of files that hold some."""
    data = settings.data
    if data.source == "demo":
        documents, _ = demo.generate(settings.run.seed)
        return [len(document.text.encode()) for document in documents]
    path = Path(data.path)
    if data.source == "local" and path.exists():
        files = path.rglob("*") if path.is_dir() else [path]
        return [file.stat().st_size for file in files if file.is_file()]
    raise UsageError(
        f"nobody knows how many examples {data.path or 'the corpus'} makes before it is read",
        "say about how many: --examples 100000",
    )


def _prompts(settings: Settings) -> int:
    if settings.data.source == "demo":
        return len(demo.generate(settings.run.seed)[1])
    try:
        return query_count(
            load_prompts(Path(settings.prompts.path), settings.prompts.use_generated)
        )
    except HeadwaterError as error:
        raise UsageError(error.message, "or say how many there are: --prompts 100") from error
