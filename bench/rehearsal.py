"""What the rehearsal before a training costs: seconds and memory, for models of two sizes.

    python -m bench.rehearsal [135M] [1.1B]

Llamas with random weights in the shapes of SmolLM2-135M and TinyLlama, in float32 on the CPU, under
the default settings. Each size in a process of its own, so that memory is its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import size
from pipeline.corpus.examples import TokenDataset
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.model import PRESETS, Preset
from pipeline.rehearsal.rehearse import rehearse

SHAPES = {
    "135M": (Preset(30, 576, 1536, heads=9, kv_heads=3, context=2048), 49_152),
    "1.1B": (PRESETS["tinyllama-1.1b"], 32_000),
}
"""Shape and size of the vocabulary."""
TEXT = "The ferryman mends the blue boat. Old Marta counts seven letters at dawn. " * 2


def main(names: Sequence[str]) -> None:
    """Measures one size here, or each of several in a process of its own."""
    if len(names) == 1:
        measure(names[0])
        return
    for name in names or SHAPES:
        subprocess.run([sys.executable, "-m", "bench.rehearsal", name], check=True)


def measure(name: str) -> None:
    """Rehearses once; prints what it took beside what the model itself takes."""
    model = made(*SHAPES[name])
    tokenizer = train_tokenizer([TEXT], 300)
    examples = TokenDataset([tokenizer(TEXT, return_tensors="np")["input_ids"][0]])
    settings = Settings.model_validate({"data": {"source": "demo"}, "run": {"device": "cpu"}})
    weights = sum(weight.numel() * weight.itemsize for weight in model.parameters())
    before, clock, processor = peak(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(Path(folder))
        rehearse(settings, run, EventWriter(run.events, "train"), model, tokenizer, examples)
    print(
        f"{name}: {model.num_parameters():,} parameters, {size(weights)}; "
        f"{time.perf_counter() - clock:.1f} s by the clock, "
        f"{time.process_time() - processor:.1f} s of the processor in {torch.get_num_threads()} "
        f"threads; most memory {size(peak())}, {size(before)} of it before the rehearsal"
    )


def made(shape: Preset, vocabulary: int) -> LlamaForCausalLM:
    """Random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tied,
    )
    return LlamaForCausalLM(config)


def peak() -> int:
    """Bytes that this process has had resident at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(sys.argv[1:])
