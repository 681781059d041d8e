"""Checks before a pass whether per-example gradients are precise and independent of batch mates.

Rankings rest on both: with attention kernels that depend on padding, or in half precision, rank
correlations between two runs of the same computation have been as low as 0.73.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import torch
from accelerate.utils import send_to_device  # type: ignore[import-untyped]
from kronfluence.arguments import FactorArguments
from torch import Tensor, nn

from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.settings.schema import FactorSettings, ScoreSettings
from pipeline.corpus.examples import IGNORED, TokenDataset, pad_batch
from pipeline.influence.analyzer import InfluenceAnalyzer, kronfluence_context
from pipeline.influence.arguments import torch_dtype

PREFLIGHT = "preflight"
"""Its name in progress events."""
PREFLIGHT_EXAMPLES = 10.0
"""About as many examples of a pass take as long."""
_TOLERATED = 0.1
"""Largest relative error without a warning; cosine to the exact gradient at least 0.995."""


def log_line(errors: GradientErrors) -> str:
    """What was found, in one line for the log."""
    return (
        f"preflight: a gradient moves by {errors.batch_mates:.1e} of its length with its batch "
        f"mates, by {errors.precision:.1e} with the precision"
    )


def warnings(errors: GradientErrors, section: str) -> Iterator[str]:
    """Messages about errors that are too large; `section`: "factors" or "scores"."""
    if errors.batch_mates > _TOLERATED:
        yield (
            f"an example's gradient moves by {errors.batch_mates:.0%} of its length with its "
            f'batch mates, so scores depend on them: try {section}.amp_dtype = "none"; if '
            "that does not help, the model itself mixes a batch's examples"
        )
    if errors.precision > _TOLERATED:
        yield (
            f"an example's gradient is {errors.precision:.0%} of its length off float32's: "
            f'rankings may differ; {section}.amp_dtype = "none" and run.tf32 = false avoid it'
        )


def preflight(
    analyzer: InfluenceAnalyzer,
    examples: TokenDataset,
    section: FactorSettings | ScoreSettings,
    tf32: bool | None = None,
) -> GradientErrors:
    """Compares one example's gradient in float32, alone, and in two batches that the pass allows.

    Only the first and the last tracked module that the example reaches are compared: the gradient
    of the first has passed through all layers, so errors add up there. `tf32`: whether TF32 is
    allowed; None = as the analyzer's settings say.
    """
    amp = torch_dtype(section.amp_dtype)
    tf32 = bool(analyzer.settings.run.tf32) if tf32 is None else tf32
    tokens = analyzer.tokens_per_batch(section.batch_size, examples)
    by_length = sorted(range(len(examples)), key=lambda index: examples.lengths[index])
    # of the median length: beside its like it is not padded, beside the longest it is
    middle = len(by_length) // 2
    probe, like = by_length[middle], by_length[middle - 1]
    fitting = [index for index in by_length if 2 * examples.lengths[index] <= tokens]
    batches = [[probe, mate] for mate in (like, *fitting[-1:])]
    with analyzer.progress.phase(PREFLIGHT, total=3 + 2 * len(batches)):
        gradient = partial(_gradient, analyzer, examples, _ends(analyzer, examples, probe))
        exact = gradient([probe], None, tf32=False)
        alone = gradient([probe], amp, tf32)
        beside = [gradient(rows, amp, tf32) for rows in batches]
    # a gradient of zero has no relative error: no division by zero
    length = max(float(exact.norm()), torch.finfo(exact.dtype).tiny)
    moved = max(float((other - alone).norm()) for other in beside)
    return GradientErrors(moved / length, float((alone - exact).norm()) / length)


def _ends(analyzer: InfluenceAnalyzer, examples: TokenDataset, probe: int) -> list[str]:
    """The first and the last tracked module that the example's loss has a gradient at: of many
    experts most get none of its tokens."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        outputs[name] = output

    model = analyzer.kronfluence.model
    with ExitStack() as hooks:
        for name in analyzer.modules:
            hook = model.get_submodule(name).register_forward_hook(partial(keep, name))
            hooks.callback(hook.remove)
        loss = _loss(analyzer, examples, [probe])
    gradients = torch.autograd.grad(loss, list(outputs.values()), allow_unused=True)
    reached = [
        name
        for name, gradient in zip(outputs, gradients, strict=True)
        if gradient is not None and bool(gradient.any())
    ]
    names = reached or analyzer.modules
    # a dict keeps the order, and one entry if there is only one module
    return list(dict.fromkeys((names[0], names[-1])))


def _loss(analyzer: InfluenceAnalyzer, examples: TokenDataset, rows: list[int]) -> Tensor:
    """Of the first row; the other rows have no labels."""
    model, batch = analyzer.kronfluence.model, pad_batch([examples[row] for row in rows])
    batch["labels"][1:] = IGNORED
    loss: Tensor = analyzer.kronfluence.task.compute_train_loss(
        send_to_device(batch, model.device), model
    )
    return loss


def _gradient(
    analyzer: InfluenceAnalyzer,
    examples: TokenDataset,
    names: list[str],
    rows: list[int],
    amp: torch.dtype | None,
    tf32: bool,
) -> Tensor:
    """Gradient [n] of the first row's loss at the named modules' weights, float64."""
    model = analyzer.kronfluence.model
    weights = [model.get_submodule(name).original_module.weight for name in names]
    # as Kronfluence does: unscaled, small gradients would underflow to 0 in float16
    scaled = amp == torch.float16 and model.device.type == "cuda"
    scale = FactorArguments().amp_scale if scaled else 1.0
    with kronfluence_context(tf32):
        # Kronfluence has frozen all parameters; it takes gradients from hooks
        for weight in weights:
            weight.requires_grad_(True)
        with torch.autocast(model.device.type, amp, enabled=amp is not None):
            loss = _loss(analyzer, examples, rows)
        gradients = torch.autograd.grad(loss * scale, weights)
        for weight in weights:
            weight.requires_grad_(False)
    # float64, so that differences of nearly equal gradients are not rounded away
    return torch.cat([gradient.flatten().double() / scale for gradient in gradients])
