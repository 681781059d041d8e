"""The scores of a sample run: 1,500 examples, six prompts, five methods, two layers."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pipeline.contract.files import write_json
from pipeline.contract.results import score_file
from pipeline.contract.results.lookup_writer import write_lookup
from pipeline.contract.results.score_file import ScoreMetadata
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt

COUNT = 1500
LAYERS = (0, 1)
KINDS = ("self_attn.q_proj", "mlp.up_proj", "mlp.down_proj")
TOLD = 5
"""A prompt's first so many documents state its answer, and come first in every ranking."""


def write_scores(
    run: RunDir, prompts: list[Prompt], texts: list[str], methods: tuple[str, ...], hostile: str
) -> None:
    """Scores of every example, what a screen looks up about them, and the modules' parts."""
    write_lookup(run, prompts, pa.Table.from_pylist(example_rows(texts, hostile)))
    parts = {module: _scores(prompts, module) for module in modules()}
    metadata = ScoreMetadata(
        prompts=tuple(prompt.id for prompt in prompts),
        methods=methods,
        default_method=methods[1],
        layers=LAYERS,
        strategy="ekfac",
        damping="heuristic",
        fisher="sampled",
        precision={"score_dtype": "float32"},
        modules=tuple(modules()),
        examples=len(texts),
    )
    score_file.write_scores(
        run,
        metadata,
        {name: _scores(prompts, name) for name in methods},
        {layer: _layer(parts, layer) for layer in LAYERS},
        {name: _sizes(len(texts), name) for name in ("ekfac", "identity")},
    )
    _write_module_scores(run, parts)


def _write_module_scores(run: RunDir, parts: dict[str, NDArray[np.float32]]) -> None:
    """As Kronfluence leaves them: the examples in an order of their own, which stands beside."""
    order = random.Random(0).sample(range(COUNT), COUNT)
    path = run.module_scores("ekfac")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(part[:, order]) for name, part in parts.items()}, path)
    told = {"type": "TokenDataset", "dataset_size": COUNT, "indices": order}
    write_json(run.module_scores_order("ekfac"), told)


def modules() -> list[str]:
    """Names in the model's own order."""
    return [f"model.layers.{layer}.{kind}" for layer in LAYERS for kind in KINDS]


def example_rows(texts: list[str], hostile: str) -> list[dict[str, Any]]:
    """Every tenth is the second chunk of the document before; every seventh has near-duplicates."""
    rows = []
    for n, text in enumerate(texts):
        document = n - 1 if n % 10 == 9 else n
        chunks = 2 if n % 10 in (8, 9) else 1
        name = f"doc-{document:04d}{hostile}"
        rows.append(
            {
                "example_id": f"{name}#{int(n % 10 == 9)}" if chunks > 1 else name,
                "document_id": name,
                "chunk": int(n % 10 == 9),
                "chunks": chunks,
                "text": text,
                "n_tokens": 20 + n % 40,
                "duplicate_group": n // 70 if n % 7 == 0 else -1,
                "source": f"parish.jsonl{hostile}",
                "row": n,
            }
        )
    return rows


def told_by(prompt: int) -> range:
    """Positions of the documents that state a prompt's answer."""
    return range(10 * prompt + 1, 10 * prompt + 1 + TOLD)


def _scores(prompts: list[Prompt], name: str) -> NDArray[np.float32]:
    table = np.zeros((len(prompts), COUNT), np.float32)
    for n in range(len(prompts)):
        chance = random.Random(f"{n}{name}")
        table[n] = [chance.uniform(-0.1, 0.1) for _ in range(COUNT)]
        for rank, position in enumerate(told_by(n), start=1):
            table[n, position] = 0.9 / rank
    return table


def _sizes(count: int, name: str) -> NDArray[np.float32]:
    chance = random.Random(f"size {name}")
    return np.array([chance.uniform(0, 9) for _ in range(count)], np.float32)


def _layer(parts: dict[str, NDArray[np.float32]], layer: int) -> NDArray[np.float32]:
    whole: NDArray[np.float32] = np.sum([parts[name] for name in parts if f".{layer}." in name], 0)
    return whole


def turn_scores(run: RunDir) -> None:
    """What was last in every ranking becomes first."""
    with safe_open(run.scores, "np") as file:
        metadata = file.metadata()
    found = load_file(run.scores)
    save_file({name: np.negative(values) for name, values in found.items()}, run.scores, metadata)
