# /// script
# requires-python = ">=3.11"
# dependencies = ["dattri-llm==0.1.0", "transformers==5.23.0", "numpy>=2"]
# [tool.uv]
# exclude-newer = "2026-11-20T00:00:00Z"
# ///
"""Scores examples with dattri-llm's EK-FAC, in an environment that has nothing of ours.

    uv run --script bench/dattri_passes.py FOLDER [--held memory]

FOLDER holds model/, train.jsonl and prompts.jsonl (input_ids, labels, length). Writes
dattri_ekfac.npy, float32 [prompts, examples], positive = proponent, and summary.json: the modules,
the seconds of the processor and by the clock, and the most bytes that were held. Factors with the
data's own labels, damping 0.1 × the mean eigenvalue, as one call of its `attribute`, every
sequence padded to the longest. `--held` names what keeps the examples' gradients between its
passes; without it the model is run again for each pass.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch
from dattri_llm import (
    AttributionArguments,
    AttributionTask,
    EKFACAttributor,
    HookManagerConfig,
    hash_sample,
)
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoModelForCausalLM

DAMPING = 0.1
INPUTS = ("input_ids", "attention_mask")
"""What the model is given; dattri-llm knows an example again by these."""


def loss(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Summed over the labels of the batch."""
    inputs = {name: batch[name] for name in INPUTS}
    logits = model(**inputs).logits
    logits = logits[:, :-1].reshape(-1, logits.shape[-1]).float()
    labels = batch["labels"][:, 1:].reshape(-1)
    return functional.cross_entropy(logits, labels, reduction="sum", ignore_index=-100)


def rows(path: Path) -> list[dict[str, Tensor]]:
    """Every row as long as the longest."""
    read = [json.loads(line) for line in path.read_text().splitlines()]
    longest = max(len(row["input_ids"]) for row in read)
    return [
        {
            "input_ids": torch.tensor(row["input_ids"] + [0] * (longest - row["length"])),
            "attention_mask": torch.tensor([1] * row["length"] + [0] * (longest - row["length"])),
            "labels": torch.tensor(row["labels"] + [-100] * (longest - row["length"])),
        }
        for row in read
    ]


def identity(row: dict[str, Tensor]) -> str:
    """By which dattri-llm knows a row."""
    found: str = hash_sample({name: row[name] for name in INPUTS})
    return found


def modules(model: nn.Module) -> list[str]:
    """The linear layers of the MLPs."""
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    return [name for name in linear if ".mlp." in name]


def main() -> None:
    """Writes what the module's text says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=8, help="examples of a batch")
    parser.add_argument("--held", choices=["memory", "tiered", "disk"], help="keeps gradients")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    folder: Path = options.folder
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    model.to(options.device)
    examples, prompts = rows(folder / "train.jsonl"), rows(folder / "prompts.jsonl")
    arguments = AttributionArguments(
        output_dir=str(folder / "dattri"),
        per_device_train_batch_size=options.batch,
        per_device_eval_batch_size=options.batch,
        use_cpu=options.device == "cpu",
        dataloader_pin_memory=False,
        max_grad_norm=None,
    )
    tracked = modules(model)
    attributor = EKFACAttributor(arguments, task=AttributionTask(loss, model))
    begun = time.process_time(), time.perf_counter()
    with sdpa_kernel(SDPBackend.MATH):
        score = attributor.attribute(
            examples,
            prompts,
            hook_config=HookManagerConfig(hook_types=dict.fromkeys(tracked, "linear_io")),
            damping=DAMPING,
            relative_damping=True,
            gradient_cache_residency=options.held,
        )
    seconds, clock = time.process_time() - begun[0], time.perf_counter() - begun[1]
    ids, table = score.agnostic_matrix()
    row_of = {name: number for number, name in enumerate(ids)}
    table = table[[row_of[identity(row)] for row in examples]]
    table = table[:, [score.test_index[identity(row)] for row in prompts]]
    np.save(folder / "dattri_ekfac.npy", table.T.cpu().numpy().astype(np.float32))
    summary = {
        "modules": tracked,
        "seconds": {"all": seconds},
        "clock": {"all": clock},
        "peak_bytes": peak_bytes(options.device),
        "torch": torch.__version__,
    }
    (folder / "summary.json").write_text(json.dumps(summary))


def peak_bytes(device: str) -> int:
    """The most that was held: of the GPU by torch, or of the machine by the process."""
    if device == "cuda":
        return int(torch.cuda.max_memory_reserved())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
