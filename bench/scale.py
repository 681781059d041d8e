"""What `headwater plan` reckons for corpora and models far larger than any that was run here.

    uv run python -m bench.scale [--gpu H100-80GB] [--prompts 100] [--tokens 512]

Nothing is computed but the plan: the formulas are those of `pipeline/planning`, the shapes those of
Llama models with all MLP modules traced, EKFAC alone. Prints Markdown, as it stands in
docs/scale.md. Hours are one card's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.contract.results.plan import Counts
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import size
from pipeline.influence.arguments import covariance_bytes, gradient_bytes
from pipeline.planning.devices import Device, named_card
from pipeline.planning.memory import Memory
from pipeline.planning.network import Network, network_of
from pipeline.planning.work import Work, by_phase, disk

SHAPES = {  # width, of the MLP, layers, heads, heads of keys, vocabulary
    "1.1B": (2048, 5632, 22, 32, 4, 32_000),
    "8B": (4096, 14_336, 32, 32, 8, 128_256),
    "70B": (8192, 28_672, 80, 64, 8, 128_256),
}
EXAMPLES = (10**6, 10**7, 10**8, 10**9)
FITTED = ("covariance", "eigendecomposition", "lambda")
RANK = 64
_HOUR, _DAYS = 3600, 100
"""Seconds; from so many hours on they are told in days."""
_PLENTY = 2**60
"""Bytes of the host's memory and disk."""


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--gpu", default="H100-80GB")
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=512, help="of an example")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        card = named_card(asked.gpu, Path(temporary))
        networks = {name: _network(name, Path(temporary)) for name in SHAPES}
        print("\n".join(_sizes(networks, card, asked.prompts, asked.tokens)), end="\n\n")
        print("\n".join(_hours(networks, card, asked.prompts, asked.tokens)), end="\n\n")
        print("\n".join(_training(networks, card, asked.tokens)))


def _network(name: str, folder: Path) -> Network:
    width, inner, layers, heads, keys, vocabulary = SHAPES[name]
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "vocab_size": vocabulary,
        "tie_word_embeddings": False,
    }
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(json.dumps(config))
    return network_of(_settings(folder / name))


def _settings(
    model: Path | None = None, tokens: int = 512, rank: int = 0, parts: int = 1
) -> Settings:
    return Settings.model_validate(
        {
            "model": {"init": "pretrained", "name": str(model)} if model else {},
            "data": {"source": "demo", "max_tokens": tokens},
            "factors": {"strategies": ["ekfac"]},
            "scores": {
                "second_opinions": [],
                "query_gradient_low_rank": rank,
                "module_partitions": parts,
            },
        }
    )


def _counts(examples: int, prompts: int, tokens: int) -> Counts:
    return Counts(examples, examples * tokens, tokens, prompts, "a table")


def _roomy(card: Device) -> Device:
    hardware = replace(card.hardware, host=_PLENTY, disk=_PLENTY)
    return replace(card, hardware=hardware)


def _sizes(networks: dict[str, Network], card: Device, prompts: int, tokens: int) -> Iterator[str]:
    """What does not depend on the number of examples."""
    yield "| model | modules | weights | covariances | one prompt's gradient | at rank 64 |"
    yield "|---|---|---|---|---|---|"
    for name, network in networks.items():
        memory = Memory(_settings(tokens=tokens), network, _counts(1000, prompts, tokens), card, 0)
        sizes = (
            memory.weights,
            covariance_bytes(network.shapes),
            gradient_bytes(network.shapes, 0),
            gradient_bytes(network.shapes, RANK),
        )
        told = " | ".join(size(round(one)) for one in sizes)
        yield f"| {name} | {len(network.shapes)} | {told} |"


def _training(networks: dict[str, Network], card: Device, tokens: int) -> Iterator[str]:
    """Memory of each card while all weights are trained, with activations computed again."""
    yield "| model | one card | of 8 cards | of 2, shared | of 4, shared | of 8, shared |"
    yield "|---|---|---|---|---|---|"
    for name, network in networks.items():
        told = []
        for cards, shard in ((1, False), (8, False), (2, True), (4, True), (8, True)):
            several = replace(card, hardware=replace(card.hardware, cards=cards))
            chosen = {"processes": "gpus", "shard": shard, "gradient_checkpointing": True}
            settings = _settings(tokens=tokens)
            train = settings.train.model_copy(update=chosen)
            settings = settings.model_copy(update={"train": train})
            memory = Memory(settings, network, _counts(1000, 1, tokens), _roomy(several), 0)
            peak = memory.peaks("train")[1]
            assert peak
            fits = peak.bytes <= card.hardware.capacity
            told.append(size(peak.bytes) if fits else f"({size(peak.bytes)})")
        yield f"| {name} | {' | '.join(told)} |"


def _hours(networks: dict[str, Network], card: Device, prompts: int, tokens: int) -> Iterator[str]:
    """Hours of arithmetic on one card, memory of its host, and what is written."""
    head = (*FITTED, "scores", f"scores at rank {RANK}", "corpus, host", "scores, disk")
    yield "| model | examples | " + " | ".join(head) + " |"
    yield "|---|---|" + "---|" * len(head)
    for name, network in networks.items():
        for examples in EXAMPLES:
            counts = _counts(examples, prompts, tokens)
            whole, small = (_fitting(network, counts, card, rank) for rank in (0, RANK))
            fitted = by_phase("factors", whole)
            cells = [_told(fitted[f"ekfac {phase}"], card) for phase in FITTED]
            cells += [_scored(memory, card) for memory in (whole, small)]
            cells += [size(round(_corpus(whole))), size(disk("scores", whole))]
            yield f"| {name} | {examples:,} | " + " | ".join(cells) + " |"


def _fitting(network: Network, counts: Counts, card: Device, rank: int) -> Memory:
    """With as few module partitions of the scores as the card has room for, if any."""
    for parts in (1, 2, 4, 8, 16, 32):
        settings = _settings(tokens=counts.longest, rank=rank, parts=parts)
        memory = Memory(settings, network, counts, _roomy(card), 0)
        if _fits(memory):
            break
    return memory


def _fits(memory: Memory) -> bool:
    peak = memory.peaks("scores")[1]
    return peak is not None and peak.bytes <= memory.device.hardware.capacity


def _told(found: Work, card: Device) -> str:
    assert card.speed
    hours = found.seconds(card.speed, halves=True, tensor=True) / _HOUR
    return f"{hours:,.1f} h" if hours < _DAYS else f"{hours / 24:,.0f} days"


def _scored(memory: Memory, card: Device) -> str:
    if not _fits(memory):
        return "does not fit"
    found = sum(by_phase("scores", memory).values(), Work())
    parts = memory.settings.scores.module_partitions
    return f"{_told(found, card)}, {memory.gathering().passes} × {parts}"


def _corpus(memory: Memory) -> float:
    return memory.moment("", {}, {}).host["corpus"]


if __name__ == "__main__":
    main()
