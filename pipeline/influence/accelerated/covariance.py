"""The tracker that sums covariances, once for all modules with the same input.

It replaces Kronfluence's `CovarianceTracker`, and falls back to it if a task shares parameters,
changes per-example gradients, or offloads activations to the CPU.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from kronfluence.module.tracker.factor import CovarianceTracker
from kronfluence.utils.constants import (
    ACTIVATION_COVARIANCE_MATRIX_NAME,
    GRADIENT_COVARIANCE_MATRIX_NAME,
    NUM_ACTIVATION_COVARIANCE_PROCESSED,
    NUM_GRADIENT_COVARIANCE_PROCESSED,
)
from torch import Tensor, nn

from pipeline.influence.accelerated.contractions import accumulation_dtype, add_gram
from pipeline.influence.accelerated.shared_input import ActivationSum, SharedInput


class SharedCovarianceTracker(CovarianceTracker):  # type: ignore[misc]
    """Sums covariances, upper triangle only; modules with the same input share the activations'."""

    _sum: ActivationSum | None = None
    _inputs = 0

    def register_hooks(self) -> None:
        """Adds activations in the forward pass and output gradients in the backward pass."""
        if self.module.needs_original_tracker(self.module.factor_args):
            super().register_hooks()
            return

        @torch.no_grad()
        def forward_hook(_module: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> None:
            self._add_activations(*inputs)
            # on the output tensor: a module's own backward hooks fail after in-place operations
            hook = partial(backward_hook, inputs[1:])
            self.cached_hooks.append(outputs.register_hook(hook))

        @torch.no_grad()
        def backward_hook(routed: tuple[Tensor, ...], output_gradient: Tensor) -> None:
            self.cached_hooks.pop().remove()
            self._add_gradients(output_gradient, *routed)

        self.registered_hooks.append(self.module.register_forward_hook(forward_hook))

    def _add_activations(self, tensor: Tensor, *routed: Tensor) -> None:
        shared_input = SharedInput.of(tensor, self.module.reader(*routed))
        if id(self) in shared_input.added_by:
            return  # gradient checkpointing runs the forward pass a second time
        shared_input.added_by.add(id(self))
        self._inputs += 1
        # Kronfluence adds up the sums of distributed processes module by module, in place: a
        # shared one would be added up several times.
        sums = {} if dist.is_initialized() else shared_input.sums
        key = (self.module.has_bias, id(self.module.attention_mask))
        shared = sums.get(key)
        # The first module that reads an input adds it; the others take over its sum for good.
        if self._sum is None and shared is not None:
            self._use(shared)
        if self._sum is None or self._sum is not shared:
            dtype = self.module.factor_args.activation_covariance_dtype
            rows = self.module.unpadded_rows(tensor.detach(), *routed).to(dtype)
            rows = self.module.with_bias_input(rows)
            own = self._sum or self._use(ActivationSum.zeros(rows))
            own.add(rows, len(rows))
            sums.setdefault(key, own)

    def _use(self, total: ActivationSum) -> ActivationSum:
        """Makes `total` the sum of this module, where Kronfluence saves it from."""
        self._sum = total
        self.module.storage[ACTIVATION_COVARIANCE_MATRIX_NAME] = total.matrix
        self.module.storage[NUM_ACTIVATION_COVARIANCE_PROCESSED] = total.tokens
        return total

    def _add_gradients(self, output_gradient: Tensor, *routed: Tensor) -> None:
        dtype = self.module.factor_args.gradient_covariance_dtype
        gradients, tokens = self.module.gradient_rows(output_gradient.detach(), *routed)
        rows = gradients.to(dtype)
        storage = self.module.storage
        if storage[GRADIENT_COVARIANCE_MATRIX_NAME] is None:
            width = rows.shape[1]
            storage[GRADIENT_COVARIANCE_MATRIX_NAME] = rows.new_zeros(
                width, width, dtype=accumulation_dtype(dtype)
            )
            storage[NUM_GRADIENT_COVARIANCE_PROCESSED] = torch.zeros(
                1, dtype=torch.int64, device=rows.device
            )
        # squared: the covariance is quadratic in gradients that mixed precision has scaled
        add_gram(storage[GRADIENT_COVARIANCE_MATRIX_NAME], rows, self.module.gradient_scale**2)
        storage[NUM_GRADIENT_COVARIANCE_PROCESSED].add_(tokens)

    def check_sharing(self) -> None:
        """Checks that the shared sum holds the inputs of this module and no others.

        Raises:
            RuntimeError: modules shared their input in one batch and not in another.
        """
        if self._sum is not None and self._sum.inputs != self._inputs:
            raise RuntimeError(
                f"{self.module.name} shares its input with other modules in some batches only; "
                "its covariance cannot be told from theirs"
            )

    def release_memory(self) -> None:
        """Drops the sums."""
        self._sum, self._inputs = None, 0
        super().release_memory()
