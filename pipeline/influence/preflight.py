"""Before a pass: is an example's gradient its own, whatever shares its batch, and precise?

Rankings rest on both. Attention kernels that depend on padding and half precision have taken
rank correlations between equal computations down to 0.73.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from accelerate.utils import send_to_device  # type: ignore[import-untyped]
from kronfluence.arguments import FactorArguments
from torch import Tensor

from pipeline.contract.settings.schema import FactorSettings, ScoreSettings
from pipeline.corpus.examples import IGNORED, TokenDataset, pad_batch
from pipeline.influence.analyzer import InfluenceAnalyzer, kronfluence_manner
from pipeline.influence.arguments import torch_dtype

_TOLERATED = 0.1
"""Share of a gradient's length; one off so far still points its own way (cosine 0.995)."""


@dataclass(frozen=True)
class Preflight:
    """How far one example's gradient moves, as shares of its length in float32."""

    batch_mates: float
    """By sharing a batch: the larger of beside its like and beside the longest that fits."""
    precision: float
    """By the pass's mixed precision, or TF32; 0 where it computes in float32."""

    @property
    def summary(self) -> str:
        """One line for the log."""
        return (
            f"preflight: a gradient moves by {self.batch_mates:.1e} of its length with its batch "
            f"mates, by {self.precision:.1e} with the precision"
        )

    def warnings(self, section: str) -> Iterator[str]:
        """What a person should know; `section` of the settings that the pass goes by."""
        if self.batch_mates > _TOLERATED:
            yield (
                f"an example's gradient moves by {self.batch_mates:.0%} of its length with its "
                f'batch mates, so scores depend on them: try {section}.amp_dtype = "none"; if '
                "that does not help, the model itself mixes a batch's examples"
            )
        if self.precision > _TOLERATED:
            yield (
                f"an example's gradient is {self.precision:.0%} of its length off float32's: "
                f'rankings may differ; {section}.amp_dtype = "none" and run.tf32 = false avoid it'
            )


def preflight(
    analyzer: InfluenceAnalyzer, examples: TokenDataset, section: FactorSettings | ScoreSettings
) -> Preflight:
    """Takes one example's gradient in float32, alone, and in two batches that would fit the pass.

    Of the first and the last tracked module: the first one's gradient went through all layers.
    """
    amp, tf32 = torch_dtype(section.amp_dtype), analyzer.settings.run.tf32
    tokens = analyzer.tokens_per_batch(section.batch_size, examples)
    by_length = sorted(range(len(examples)), key=lambda index: examples.lengths[index])
    middle = len(by_length) // 2
    probe, like = by_length[middle], by_length[middle - 1]
    fitting = [index for index in by_length if 2 * examples.lengths[index] <= tokens]
    batches = [[probe, mate] for mate in (like, *fitting[-1:])]
    with analyzer.progress.phase("preflight", total=2 + 2 * len(batches)):
        exact = _gradient(analyzer, examples, [probe], None, tf32=False)
        alone = _gradient(analyzer, examples, [probe], amp, tf32)
        beside = [_gradient(analyzer, examples, rows, amp, tf32) for rows in batches]
    length = max(float(exact.norm()), torch.finfo(exact.dtype).tiny)
    moved = max(float((other - alone).norm()) for other in beside)
    return Preflight(moved / length, float((alone - exact).norm()) / length)


def _gradient(
    analyzer: InfluenceAnalyzer,
    examples: TokenDataset,
    rows: list[int],
    amp: torch.dtype | None,
    tf32: bool,
) -> Tensor:
    """Gradient [n] of the first row's loss, float64; the other rows are read, not learnt from."""
    model, task = analyzer.kronfluence.model, analyzer.kronfluence.task
    batch = pad_batch([examples[row] for row in rows])
    batch["labels"][1:] = IGNORED
    ends = dict.fromkeys((analyzer.modules[0], analyzer.modules[-1]))
    weights = [model.get_submodule(name).original_module.weight for name in ends]
    # Kronfluence scales losses so, or small gradients would be 0
    scaled = amp == torch.float16 and model.device.type == "cuda"
    scale = FactorArguments().amp_scale if scaled else 1.0
    with kronfluence_manner(tf32):
        for weight in weights:
            weight.requires_grad_(True)
        with torch.autocast(model.device.type, amp, enabled=amp is not None):
            loss = task.compute_train_loss(send_to_device(batch, model.device), model)
        gradients = torch.autograd.grad(loss * scale, weights)
        for weight in weights:
            weight.requires_grad_(False)
    return torch.cat([gradient.flatten().double() / scale for gradient in gradients])
