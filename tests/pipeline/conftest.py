"""Small real things to test on: factors of a tiny Llama, and a run whose corpus is prepared."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments
from kronfluence.task import Task
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from pipeline.contract import stages
from pipeline.contract.events import EventWriter
from pipeline.contract.files import write_json, write_text
from pipeline.contract.profiles import render_settings
from pipeline.contract.prompts import Prompt, save_prompts
from pipeline.contract.run_dir import RunDir
from pipeline.contract.settings import Settings, load_settings
from pipeline.corpus.examples import EXAMPLE_SCHEMA
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.stages import factors, scores, train

MODULES = [
    f"model.layers.{layer}.mlp.{name}_proj" for layer in range(2) for name in ("gate", "up", "down")
]


class NextToken(Task):
    """Summed next-token loss with the data's own labels."""

    def get_influence_tracked_modules(self) -> list[str]:
        return MODULES

    def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> Tensor:
        assert not sample
        logits = model(input_ids=batch["input_ids"]).logits[:, :-1]
        return functional.cross_entropy(
            logits.flatten(0, 1), batch["input_ids"][:, 1:].flatten(), reduction="sum"
        )

    compute_measurement = compute_train_loss


@pytest.fixture(scope="session")
def make_tiny_llama() -> Callable[[], LlamaForCausalLM]:
    """Makes the same model every time: 2 layers, 16 wide, MLP 24, 40 pieces."""

    def make() -> LlamaForCausalLM:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=40,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
        return LlamaForCausalLM(config).eval()

    return make


@pytest.fixture(scope="session")
def tiny_tokens() -> Tensor:
    """12 examples of 9 tokens."""
    return torch.randint(40, (12, 9), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def factored_run(
    tmp_path_factory: pytest.TempPathFactory,
    make_tiny_llama: Callable[[], LlamaForCausalLM],
    tiny_tokens: Tensor,
) -> Path:
    """A run's folder with influence/factors_{ekfac,kfac,diagonal}; to be read only."""
    root = tmp_path_factory.mktemp("factored")
    task = NextToken()
    analyzer = Analyzer(
        "influence",
        prepare_model(make_tiny_llama(), task),
        task,
        cpu=True,
        output_dir=str(root),
        disable_tqdm=True,
    )
    for strategy in ("ekfac", "kfac", "diagonal"):
        analyzer.fit_all_factors(
            factors_name=strategy,
            dataset=[{"input_ids": row} for row in tiny_tokens],  # type: ignore[arg-type]
            per_device_batch_size=4,
            factor_args=FactorArguments(strategy=strategy, use_empirical_fisher=True),
        )
    return root


class PrepareRun(Protocol):
    """Makes a run as the prepare stage leaves it; `sections` go on top of its settings."""

    def __call__(self, root: Path, **sections: dict[str, Any]) -> RunDir: ...


@pytest.fixture(scope="session")
def prepared_run() -> PrepareRun:
    """48 training and 8 validation sentences, one document of two chunks, two prompts."""
    return _prepare_run


@pytest.fixture(scope="session")
def scored_run(prepared_run: PrepareRun, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run through the scores stage; to be copied, not written into."""
    run = prepared_run(tmp_path_factory.mktemp("scored") / "run", train={"epochs": 6.0})
    settings = load_settings(run.settings)
    for stage in (train, factors, scores):
        name = stage.__name__.rpartition(".")[2]
        fingerprint = stages.begin(name, settings, run)
        stage.run(settings, run, EventWriter(run.events, name))
        stages.finish(name, fingerprint, settings, run, 0.1)
    return run


def _prepare_run(root: Path, **sections: dict[str, Any]) -> RunDir:
    run, chosen = RunDir(root), _settings(sections)
    prompts = [
        Prompt(id="river", prompt="The river runs", completion=" past the mill", relevant=("d0",)),
        Prompt(id="baker", prompt="The baker sells", completion=" bread"),
    ]
    write_text(run.settings, render_settings(chosen))
    save_prompts(run.prompts, prompts)
    fingerprint = stages.begin("prepare", chosen, run)
    texts = _sentences(56)
    tokenizer = train_tokenizer(texts, vocab_size=300)
    tokenizer.save_pretrained(run.tokenizer)
    rows = _rows(texts, tokenizer)
    pq.write_table(pa.Table.from_pylist(rows[8:], EXAMPLE_SCHEMA), run.examples)
    pq.write_table(pa.Table.from_pylist(rows[:8], EXAMPLE_SCHEMA), run.validation)
    save_prompts(run.prepared_prompts, prompts)
    write_json(run.summary("prepare"), _prepare_summary(rows, len(tokenizer)))
    stages.finish("prepare", fingerprint, chosen, run, seconds=0.1)
    return run


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


def _sentences(count: int) -> list[str]:
    rng = random.Random(0)
    subjects = ("The baker", "A miller", "The old mason", "Our neighbour", "The river")
    verbs = ("sells", "brings", "looks for", "walks past", "never speaks of")
    objects = ("bread", "the mill", "a grey stone", "the harbour at night", "salt and flour")
    return [
        f"{rng.choice(subjects)} {rng.choice(verbs)} {rng.choice(objects)}."
        + " And so it goes on." * rng.randrange(4)
        for _ in range(count)
    ]


def _rows(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Documents v0 … v7 for validation, then d0 …; the last two rows are chunks of one document."""
    rows: list[dict[str, Any]] = []
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
            {
                "example_id": f"{name}#{chunk}" if chunks > 1 else name,
                "document_id": name,
                "chunk": chunk,
                "chunks": chunks,
                "text": text,
                "tokens": tokens,
                "n_tokens": len(tokens),
                "duplicate_group": -1,
                "source": "sentences",
                "row": number,
            }
        )
    return rows


def _prepare_summary(rows: list[dict[str, Any]], vocab_size: int) -> dict[str, Any]:
    return {
        "source": "demo",
        "documents_read": len(rows) - 1,
        "empty": 0,
        "unreadable": 0,
        "documents": len(rows) - 1,
        "chunked_documents": 1,
        "examples": len(rows) - 8,
        "validation_examples": 8,
        "tokens": sum(row["n_tokens"] for row in rows),
        "duplicate_groups": 0,
        "duplicates": 0,
        "vocab_size": vocab_size,
    }
