"""Compares choice ranking with EleutherAI's lm-evaluation-harness on the same questions.

    uv run --with lm_eval python -m bench.choice_ranking MODEL --data FOLDER
        [--limit 50] [--shots 5] [--ways letters] [--keep FILE] -- TASK …

MODEL is a transformers folder, TASK as in `benchmark.chosen`. Both rank the same candidates after
the same prompts with the same loaded model and, as near as can be, the same batch budget: the
harness takes a number of rows, which is the budget divided by its longest request. Prints, for
each benchmark and way of putting it, both accuracies, on how many questions they choose alike, the
largest difference of a log-likelihood, and harness seconds ÷ ours: the process's own seconds on a
CPU, because others may be at work; a wall clock's on a GPU. Both rank two questions to warm up.
With --keep the answers are written down as they come, and what was answered is not asked again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.settings.schema import Settings
from pipeline.corpus.labelling import encode_pair
from pipeline.evaluation.benchmarks.answering import AnsweringModel, Item
from pipeline.evaluation.catalogue import all_questions, ready
from pipeline.evaluation.questions import Ranked
from pipeline.model import load_model

SLICE = 32
"""Questions between two looks at the clock; what is kept is kept so often."""


@dataclass(frozen=True)
class Answer:
    """What both say to one question."""

    benchmark: str
    question: str
    ours: list[float]
    """Log-likelihoods of its candidates, nats."""
    harness: list[float]
    gold: list[int]
    seconds: float
    """An equal share of its slice's."""
    harness_seconds: float


def answered(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    budget: int,
    name: str,
) -> Iterator[Answer]:
    """Ranks the items twice, a slice at a time; leaves out what is too long for the model."""
    ours = AnsweringModel(name, model, tokenizer, budget)
    clock = time.monotonic if model.device.type == "cuda" else time.process_time
    list(ours.ranked(items[:2])), _harness(model, tokenizer, items[:2], budget)
    for start in range(0, len(items), SLICE):
        part = items[start : start + SLICE]
        begun = clock()
        mine = {answer.question: answer for answer in ours.ranked(part)}
        seconds = clock() - begun
        kept = [(question, way) for question, way in part if mine[question.id].scores]
        begun = clock()
        theirs = _harness(model, tokenizer, kept, budget)
        harness_seconds = clock() - begun
        for (question, way), harness in zip(kept, theirs, strict=True):
            yield Answer(
                name, question.id, list(mine[question.id].log_likelihoods), harness.tolist(),
                list(_asked(question, way).gold), seconds / len(part), harness_seconds / len(kept),
            )  # fmt: skip


def told(name: str, answers: Sequence[Answer]) -> list[str]:
    """A row of the table."""
    ours = [int(np.argmax(answer.ours)) for answer in answers]
    theirs = [int(np.argmax(answer.harness)) for answer in answers]
    right = [mine in answer.gold for mine, answer in zip(ours, answers, strict=True)]
    harness_right = [their in answer.gold for their, answer in zip(theirs, answers, strict=True)]
    difference = max(np.abs(np.subtract(answer.ours, answer.harness)).max() for answer in answers)
    seconds = sum(answer.seconds for answer in answers)
    harness_seconds = sum(answer.harness_seconds for answer in answers)
    return [
        name, str(len(answers)), f"{np.mean(right):.4f}", f"{np.mean(harness_right):.4f}",
        str(sum(map(int.__eq__, ours, theirs))), f"{difference:.1e}", f"{seconds:.1f}",
        f"{harness_seconds:.1f}", f"{harness_seconds / seconds:.2f}",
    ]  # fmt: skip


def _asked(question: object, way: str) -> Ranked:
    asked = question.ways[way]  # type: ignore[attr-defined]
    assert isinstance(asked, Ranked)
    return asked


def _harness(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: Sequence[Item], budget: int
) -> list[np.ndarray]:
    """The harness's log-likelihoods by question."""
    if not items:
        return []
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


def _kept(path: Path | None) -> list[Answer]:
    if path is None or not path.exists():
        return []
    return [Answer(**json.loads(line)) for line in path.read_text().splitlines()]


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
    parser.add_argument("--keep", type=Path, help="go on from this file, and add to it")
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
    kept = _kept(options.keep)
    for name, questions in all_questions(ready(settings)[0]).items():
        for way in options.ways:
            label = f"{name} {way}"
            known = {answer.question: answer for answer in kept if answer.benchmark == label}
            items = [(q, way) for q in questions if way in q.ways and q.id not in known]
            for answer in answered(model, tokenizer, items, options.batch_tokens, label):
                known[answer.question] = answer
                if options.keep:
                    with options.keep.open("a") as file:
                        file.write(json.dumps(asdict(answer)) + "\n")
            found = [known[question.id] for question in questions if question.id in known]
            if found:
                table.add_row(*told(label, found))
    Console().print(table)


if __name__ == "__main__":
    main()
