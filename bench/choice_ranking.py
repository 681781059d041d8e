"""Compares choice ranking with EleutherAI's lm-evaluation-harness on the same questions.

    uv run --with lm_eval python -m bench.choice_ranking MODEL --data FOLDER
        [--limit 50] [--shots 5] [--ways letters] -- TASK …

MODEL is a transformers folder, TASK as in `benchmark.chosen`. Both rank the same candidates after
the same prompts with the same loaded model and, as near as can be, the same batch budget: the
harness takes a number of rows, which is the budget divided by its longest request. Prints, for
each benchmark and way of putting it, both accuracies, on how many questions they choose alike, the
largest difference of a log-likelihood, and harness seconds ÷ ours: the process's own seconds on a
CPU, because others may be at work; a wall clock's on a GPU. Both rank two questions to warm up.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.settings import Settings
from pipeline.corpus.examples import encode_pair
from pipeline.evaluation.benchmarks.answering import AnsweringModel, Item
from pipeline.evaluation.catalogue import all_questions, ready
from pipeline.evaluation.questions import Ranked
from pipeline.model import load_model


@dataclass(frozen=True)
class Row:
    """One benchmark put in one way."""

    name: str
    questions: int
    accuracy: float
    harness_accuracy: float
    alike: int
    """Questions on which both choose the same."""
    difference: float
    """Largest |log-likelihood − the harness's|, nats."""
    seconds: float
    harness_seconds: float


def compare(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    budget: int,
    name: str,
) -> Row:
    """Ranks the items twice."""
    ours = AnsweringModel(name, model, tokenizer, budget)
    clock = time.monotonic if model.device.type == "cuda" else time.process_time
    list(ours.ranked(items[:2]))
    begun = clock()
    answers = {answer.question: answer for answer in ours.ranked(items)}
    seconds = clock() - begun
    kept = [(q, way) for q, way in items if answers[q.id].scores]
    _harness(model, tokenizer, kept[:2], budget)
    begun = clock()
    theirs = _harness(model, tokenizer, kept, budget)
    harness_seconds = clock() - begun
    alike = right = harness_right = 0
    difference = 0.0
    for (question, way), harness in zip(kept, theirs, strict=True):
        mine, asked = np.array(answers[question.id].log_likelihoods), _asked(question, way)
        alike += mine.argmax() == harness.argmax()
        right += mine.argmax() in asked.gold
        harness_right += harness.argmax() in asked.gold
        difference = max(difference, float(np.abs(mine - harness).max()))
    n = len(kept)
    return Row(name, n, right / n, harness_right / n, alike, difference, seconds, harness_seconds)


def _asked(question: object, way: str) -> Ranked:
    asked = question.ways[way]  # type: ignore[attr-defined]
    assert isinstance(asked, Ranked)
    return asked


def _harness(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], budget: int
) -> list[np.ndarray]:
    """The harness's log-likelihoods by question."""
    # the harness takes a prompt's own beginning-of-sequence piece where the tokenizer adds none
    begin = tokenizer.bos_token or ""
    requests: list[Instance] = []
    sizes: list[int] = []
    for question, way in items:
        asked = _asked(question, way)
        for prompt, candidate in asked.pairs:
            requests.append(
                Instance(
                    "loglikelihood", {}, (begin + asked.examples + prompt, candidate), len(sizes)
                )
            )
        sizes.append(len(asked.pairs))
    longest = max(
        sum(map(len, encode_pair(tokenizer, *request.args))) for request in requests[:: max(sizes)]
    )
    limit = getattr(model.config, "max_position_embeddings", longest)
    harness = HFLM(
        pretrained=model,
        tokenizer=tokenizer,
        batch_size=max(1, budget // min(longest, limit)),
        max_length=limit,
    )
    found = iter(value for value, _ in harness.loglikelihood(requests, disable_tqdm=True))
    return [np.array([next(found) for _ in range(size)]) for size in sizes]


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--shots", type=int, default=-1)
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--ways", nargs="+", default=["letters", "texts"])
    options = parser.parse_args()
    model = load_model(options.model, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    chosen = {
        "chosen": options.tasks,
        "data": options.data,
        "limit": options.limit,
        "shots": options.shots,
    }
    settings = Settings.model_validate({"data": {"source": "demo"}, "benchmark": chosen})
    columns = ("benchmark", "questions", "accuracy", "harness", "alike", "difference", "s",
               "harness s", "ratio")  # fmt: skip
    table = Table(*columns)
    for name, questions in all_questions(ready(settings)[0]).items():
        for way in options.ways:
            items = [(question, way) for question in questions if way in question.ways]
            if not items:
                continue
            row = compare(model, tokenizer, items, options.batch_tokens, f"{name} {way}")
            table.add_row(
                row.name, str(row.questions), f"{row.accuracy:.4f}", f"{row.harness_accuracy:.4f}",
                str(row.alike), f"{row.difference:.1e}", f"{row.seconds:.1f}",
                f"{row.harness_seconds:.1f}", f"{row.harness_seconds / row.seconds:.2f}",
            )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
