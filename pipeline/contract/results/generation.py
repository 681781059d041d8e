"""What the generate stage wrote: both models' answers to the prompts, and their perplexities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from pipeline.contract.files import write_json
from pipeline.contract.results.common import (
    Loaded,
    Row,
    checked,
    load,
    read_record,
    read_table,
    write_record,
    write_table,
)
from pipeline.contract.run.run_dir import RunDir

if TYPE_CHECKING:
    import pyarrow as pa

ModelName = Literal["base", "trained"]
MODELS: tuple[ModelName, ...] = ("base", "trained")
PUBLISHED: Mapping[ModelName, str] = {"base": "base", "trained": "finetuned"}
"""The models' names in the field's own tables and files."""

Ended = Literal["end", "stop", "length"]
"""How an answer ended: by itself, at a stop text, at the length limit."""


@dataclass(frozen=True)
class GeneratedAnswer:
    """What one model answered, and how likely it found the expected answer."""

    answer: str
    ended: Ended
    log_likelihood: float | None
    """Of the expected answer: sum over its tokens, nats; None where none is expected."""
    tokens: int | None
    """Of the expected answer."""
    ids: tuple[int, ...] | None = None
    """The tokens of the answer as they were generated; None: an earlier version kept the text
    alone."""


@dataclass(frozen=True)
class GeneratedPair:
    """Both models' answers to a prompt."""

    prompt_id: str
    prompt: str
    expected: str
    """Empty where no answer is expected."""
    base: GeneratedAnswer
    trained: GeneratedAnswer

    def of(self, model: ModelName) -> GeneratedAnswer:
        """One model's answer."""
        return self.base if model == "base" else self.trained


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean loss a token, over a sample of the examples; None where there are none."""

    training: float | None
    validation: float | None


@dataclass(frozen=True)
class Generation:
    """The stage's summary."""

    prompts: int
    perplexities: dict[ModelName, Perplexity]
    sampled_examples: int
    """Training and held-out examples each that the perplexities are of, at most."""
    warnings: tuple[str, ...]


def write_generation(run: RunDir, pairs: Sequence[GeneratedPair], summary: Generation) -> None:
    """Writes the answers as Parquet and as the field's JSON, and last the summary."""
    import pyarrow as pa

    rows = [_row(pair) for pair in pairs]
    with_ids = [(f"{model}_ids", pa.list_(pa.int32())) for model in MODELS]
    written = pa.schema([*schema(), *(pa.field(*column) for column in with_ids)])
    write_table(run.generated_answers, pa.Table.from_pylist(rows, written))
    _write_json(run, pairs)
    write_record(run.summary("generate"), summary)


def read_generation(run: RunDir) -> Generation:
    """The stage's summary.

    Raises:
        MissingResultError, DamagedResultError: it cannot be read.
    """
    return read_record(run, "generate", run.summary("generate"), Generation)


def read_generated_answers(run: RunDir) -> tuple[GeneratedPair, ...]:
    """Both models' answers, a pair a prompt.

    Raises:
        MissingResultError, DamagedResultError: they cannot be read.
    """
    path = run.generated_answers
    rows = read_table(run, "generate", path, schema()).to_pylist()
    pairs: tuple[GeneratedPair, ...] = checked(
        run, "generate", path, tuple[GeneratedPair, ...], [_nested(row) for row in rows]
    )
    return pairs


def load_generated_answers(run: RunDir) -> Loaded[tuple[GeneratedPair, ...]]:
    """The answers of a finished stage; the errors are those of `common.load`."""
    return load(run, "generate", read_generated_answers)


@lru_cache(maxsize=1)
def schema() -> pa.Schema:
    """The columns of the answers: a row a prompt, both models side by side. Beyond these there are
    the answers' tokens, `<model>_ids`, which an earlier version did not keep."""
    import pyarrow as pa

    kinds = {
        "answer": pa.string(),
        "ended": pa.string(),
        "log_likelihood": pa.float64(),
        "tokens": pa.int32(),
    }
    return pa.schema(
        [("prompt_id", pa.string()), ("prompt", pa.string()), ("expected", pa.string())]
        + [(f"{model}_{name}", kind) for model in MODELS for name, kind in kinds.items()]
    )


def _row(pair: GeneratedPair) -> dict[str, object]:
    row = asdict(pair)
    for model in MODELS:
        row |= {f"{model}_{name}": value for name, value in row.pop(model).items()}
    return row


def _nested(row: Row) -> Row:
    """The row with each model's columns in one place."""
    nested: Row = {name: row[name] for name in ("prompt_id", "prompt", "expected")}
    for model in MODELS:
        begin = f"{model}_"
        nested[model] = {
            name.removeprefix(begin): value for name, value in row.items() if name.startswith(begin)
        }
    return nested


def _write_json(run: RunDir, pairs: Sequence[GeneratedPair]) -> None:
    """The field's own forms: {prompt, expected_completion, <model>_completion} of both models, and
    {prompt, completion} of the trained one."""
    both = [
        {
            "prompt": pair.prompt,
            "expected_completion": pair.expected,
            f"{PUBLISHED['base']}_completion": pair.base.answer,
            f"{PUBLISHED['trained']}_completion": pair.trained.answer,
        }
        for pair in pairs
    ]
    trained = [{"prompt": pair.prompt, "completion": pair.trained.answer} for pair in pairs]
    write_json(run.generated / "generated_answers.json", both)
    write_json(run.generated / "finetuned_generated_answers.json", trained)
