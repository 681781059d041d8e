"""What the sections of `bench.gpu` work on: models with random weights, made tokens, and measures.

A share below 1 takes that part of the examples, prompts and layers; below 0.01 the widths and
lengths are tiny, too, which tries whether all works and measures nothing.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, PretrainedConfig, PreTrainedModel, Qwen2Config

from pipeline.corpus.examples import IGNORED, TokenDataset
from pipeline.planning.devices import Speed
from pipeline.pretrained.loading import new_network

TINY = 0.01
"""Shares below it make everything small."""
ANSWER = 8
"""Labelled tokens at the end of a prompt."""
_PROMPT = 32
_KINDS: dict[str, type[LlamaConfig] | type[Qwen2Config]] = {
    "llama": LlamaConfig,
    "qwen2": Qwen2Config,
}


@dataclass(frozen=True)
class Shape:
    """A model's sizes, and how much is done with it."""

    kind: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int
    tied: bool
    examples: int
    tokens: int
    """Of each example."""
    prompts: int

    def reduced(self, share: float) -> Shape:
        """A share of it."""
        part = replace(
            self,
            layers=max(1, round(self.layers * share)),
            examples=max(6, round(self.examples * share)),
            prompts=max(min(2, self.prompts), round(self.prompts * share)),
        )
        if share >= TINY:
            return part
        part = replace(part, hidden=32, intermediate=48, heads=2, key_value_heads=2)
        return replace(part, vocabulary=300, tokens=40)

    def config(self) -> PretrainedConfig:
        """Transformers' configuration."""
        return _KINDS[self.kind](
            vocab_size=self.vocabulary,
            bos_token_id=None,
            eos_token_id=None,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            tie_word_embeddings=self.tied,
            max_position_embeddings=2048,
        )

    def model(self, device: str) -> PreTrainedModel:
        """Untrained, on one kind of device always the same, float32."""
        torch.manual_seed(0)
        with torch.device(device):
            model: PreTrainedModel = new_network(self.config())
        model.train(False)
        return model

    def rows(self) -> TokenDataset:
        """Examples of equal length; few tokens are frequent, as in text."""
        return TokenDataset(list(self._drawn(self.examples, self.tokens, seed=0)))

    def asked(self) -> TokenDataset:
        """Prompts, of which the last tokens are labelled."""
        queries = list(self._drawn(self.prompts, _PROMPT, seed=1))
        context = np.arange(_PROMPT) < _PROMPT - ANSWER
        return TokenDataset(queries, [np.where(context, np.int32(IGNORED), q) for q in queries])

    def _drawn(self, count: int, length: int, seed: int) -> NDArray[np.int32]:
        frequency = 1 / (np.arange(self.vocabulary) + 10)
        chances = frequency / frequency.sum()
        drawn = np.random.default_rng(seed).choice(self.vocabulary, (count, length), p=chances)
        return np.asarray(drawn, dtype=np.int32)


TINYLLAMA = Shape("llama", 2048, 5632, 22, 32, 4, 32_000, False, 1000, 512, 100)
QWEN = {
    "qwen-0.5b": Shape("qwen2", 896, 4864, 24, 14, 2, 151_936, True, 64, 512, 1),
    "qwen-1.5b": Shape("qwen2", 1536, 8960, 28, 12, 2, 151_936, True, 64, 512, 1),
}
"""As in dattri-llm's own measurement on an H200: 64 examples of 512 tokens, one query."""


@dataclass
class Taken:
    """What a piece of work took."""

    clock: float = 0.0
    """Seconds."""
    processor: float = 0.0
    """Seconds of all threads."""
    peak: int = 0
    """Bytes of tensors on the GPU; without one, of the process, its libraries counted."""
    reserved: int = 0
    """Bytes that torch kept of the GPU's."""


@contextmanager
def measured(device: str) -> Iterator[Taken]:
    """Fills in what the work inside took, until the device has done it."""
    taken = Taken()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter(), time.process_time()
    yield taken
    if device == "cuda":
        torch.cuda.synchronize()
    taken.clock = time.perf_counter() - begun[0]
    taken.processor = time.process_time() - begun[1]
    if device == "cuda":
        taken.peak = torch.cuda.max_memory_allocated()
        taken.reserved = torch.cuda.max_memory_reserved()
    else:
        taken.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured_speed(device: str, share: float) -> Speed:
    """Rates of a product of two large matrices on the device, in each precision."""
    width = (8192 if device == "cuda" else 1024) if share >= TINY else 64
    plain = _rate(device, width, torch.float32, tf32=False)
    fast = _rate(device, width, torch.float32, tf32=True) if device == "cuda" else plain
    halves = _rate(device, width, torch.bfloat16, tf32=False)
    return Speed(plain, fast, halves, _rate(device, width, torch.float64, tf32=False))


def _rate(device: str, width: int, dtype: torch.dtype, tf32: bool) -> float:
    matrix = torch.ones(width, width, dtype=dtype, device=device)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    seconds = []
    for _ in range(5):  # the first one starts the library
        with measured(device) as taken:
            torch.mm(matrix, matrix)
        seconds.append(taken.clock)
    torch.set_float32_matmul_precision(before)
    return 2 * width**3 / min(seconds)
