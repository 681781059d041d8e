"""Gradients as short vectors whose products come near the preconditioned influence.

An example's gradient is turned into the Kronecker eigenbasis of each module's curvature and divided
there by the square root of the damped eigenvalues: the dot product of two such vectors *is* the
EKFAC (or KFAC) influence. Then all modules together are sketched into F numbers: every entry is
added, with a random sign, to a random one of them, which keeps dot products but for noise of about
1/√F of the lengths' product. Keeping the entries with the largest eigenvalues instead, as LoGra
does, lost most of the top examples: once divided, no direction matters more than another.

Sources: Grosse et al. 2023, section 2.2 (basis); LoGra (Choe et al. 2024) and TrackStar (Chang et
al. 2024) (features of this kind); Charikar et al. 2002 (count sketch), Pham and Pagh 2013 (buckets
of a matrix from those of its rows and columns).

Shape legend: B sequences of a batch, T tokens of the longest, I inputs (bias counted) and O outputs
of a module, F features of all modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from kronfluence.arguments import ScoreArguments
from kronfluence.factor.config import FactorConfig
from kronfluence.module.tracked_module import TrackedModule
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from pipeline.contract.errors import HeadwaterError, MissingResultError
from pipeline.corpus.examples import TokenBatch
from pipeline.influence.accelerated.linear import ignore_unseen
from pipeline.influence.accelerated.shared_input import token_reader
from pipeline.influence.task import LanguageModelingTask

_SEED = 0
"""Of the sketch: an index is read with the very signs and buckets it was made with."""
_FACTORS = (
    "activation_eigenvectors",
    "activation_eigenvalues",
    "gradient_eigenvectors",
    "gradient_eigenvalues",
    "lambda_matrix",
    "num_lambda_processed",
)


@dataclass(frozen=True)
class ModuleProjection:
    """One module's part of the features."""

    activation_vectors: Tensor
    """Eigenvectors of the activation covariance as columns, with random signs [I, I]."""
    gradient_vectors: Tensor
    """Eigenvectors of the gradient covariance as columns, with random signs [O, O]."""
    weights: Tensor
    """1 / √(eigenvalue + damping) [O, I]."""
    rows: Tensor
    """Random shift of the buckets of each row; int64 [O]."""
    columns: Tensor
    """The same of each column; int64 [I]."""

    def add_features(
        self, inputs: Tensor, gradients: Tensor, features: Tensor, squares: Tensor
    ) -> None:
        """Adds what inputs [B, T, I] and output gradients [B, T, O] give to `features` [B, F], and
        to `squares` [B] their length² before the sketch."""
        rotated = (gradients @ self.gradient_vectors).mT @ (inputs @ self.activation_vectors)
        buckets = (self.rows[:, None] + self.columns) % features.shape[1]
        weighted = (rotated * self.weights).flatten(1)
        features.index_add_(1, buckets.flatten(), weighted)
        squares += weighted.square_().sum(dim=1)


def require_eigenvectors(strategy: str) -> None:
    """Refuses a strategy that has none to turn gradients by.

    Raises:
        HeadwaterError: it has none.
    """
    if not FactorConfig.CONFIGS[strategy].requires_eigendecomposition_for_precondition:
        raise HeadwaterError(
            f"factors.strategies begins with {strategy}, which has no eigenvectors to index by",
            'put "ekfac" or "kfac" first',
        )


class Projection:
    """Features [B, F] of sequences under a model."""

    def __init__(
        self, model: PreTrainedModel, modules: dict[str, ModuleProjection], size: int
    ) -> None:
        """`size`: how many features; `model` may be one whose modules Kronfluence has wrapped."""
        self._model = model
        self._modules = modules
        self._task = LanguageModelingTask(list(modules), seed=0)
        self.size = size

    @classmethod
    def of_factors(
        cls,
        model: PreTrainedModel,
        folder: Path,
        arguments: ScoreArguments,
        modules: Sequence[str],
        strategy: str,
        size: int,
    ) -> Projection:
        """`size` features, from a strategy's factors and the damping in `arguments`.

        Raises:
            MissingResultError: the factors are damaged.
        """
        generator = torch.Generator().manual_seed(_SEED)
        read = partial(_module, folder, arguments, strategy, size, generator)
        return cls(model, {name: read(name, model.device) for name in modules}, size)

    def features(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Features [B, F] of the loss summed over each sequence's labels, and the sequences'
        self-influence [B], to which the sketch adds no noise; float32."""
        device = self._model.device
        moved: TokenBatch = {
            "input_ids": batch["input_ids"].to(device),
            "attention_mask": batch["attention_mask"].to(device),
            "labels": batch["labels"].to(device),
        }
        features = torch.zeros(len(batch["input_ids"]), self.size, device=device)
        squares = features.new_zeros(len(features))
        adding = self._adding_to(features, squares, batch["input_ids"].shape)
        with sdpa_kernel(SDPBackend.MATH), adding, torch.enable_grad():
            loss = self._task.compute_measurement(moved, self._model)
            torch.autograd.backward(loss)
        return features, squares

    @contextmanager
    def _adding_to(self, features: Tensor, squares: Tensor, batch: Sequence[int]) -> Iterator[None]:
        """While entered, a backward pass over `batch` (B, T) adds every module's features."""
        with ExitStack() as hooks:
            embedding = self._model.get_input_embeddings()
            wanted = embedding.register_forward_hook(lambda _m, _i, out: out.requires_grad_())
            hooks.callback(wanted.remove)
            for name, projection in self._modules.items():
                reader = partial(token_reader, batch, name)
                hook = partial(_catch, projection, features, squares, reader)
                handle = _linear(self._model, name).register_forward_hook(hook)
                hooks.callback(handle.remove)
            yield


def _catch(
    projection: ModuleProjection,
    features: Tensor,
    squares: Tensor,
    reader: Callable[..., Callable[[Tensor], Tensor]],
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    output: Tensor,
) -> None:
    read = reader(*inputs[1:])
    activations = read(inputs[0].detach())
    if module.bias is not None:
        activations = nn.functional.pad(activations, (0, 1), value=1.0)

    def catch(gradient: Tensor) -> None:
        projection.add_features(activations.float(), read(gradient).float(), features, squares)

    output.register_hook(catch)  # type: ignore[no-untyped-call]


def _linear(model: nn.Module, name: str) -> nn.Module:
    """The linear module, also where Kronfluence has put a wrapper around it."""
    module = model.get_submodule(name)
    return module.original_module if isinstance(module, TrackedModule) else module


def _module(
    folder: Path,
    arguments: ScoreArguments,
    strategy: str,
    size: int,
    generator: torch.Generator,
    name: str,
    device: torch.device,
) -> ModuleProjection:
    factors: dict[str, Tensor | None] = {kind: _read(folder, kind, name) for kind in _FACTORS}
    FactorConfig.CONFIGS[strategy].prepare(factors, arguments, torch.device("cpu"))
    ignore_unseen(factors)
    inverse = factors["lambda_matrix"]  # [O, I] of 1 / (eigenvalue + damping), by now
    assert inverse is not None
    vectors, shifts = [], []
    for side in ("activation", "gradient"):
        found = factors[f"{side}_eigenvectors"]
        assert found is not None
        signs = torch.randint(2, found.shape[1:], generator=generator) * 2.0 - 1.0
        vectors.append(found.float() * signs)
        shifts.append(torch.randint(size, found.shape[1:], generator=generator))
    tensors = (*vectors, inverse.float().sqrt(), shifts[1], shifts[0])
    return ModuleProjection(*(tensor.contiguous().to(device) for tensor in tensors))


def _read(folder: Path, kind: str, module: str) -> Tensor | None:
    """A factor of a module; None where the strategy has none of its kind."""
    path = folder / f"{kind}.safetensors"
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            tensor: Tensor = file.get_tensor(module)
            return tensor
    except SafetensorError as error:
        hint = "`headwater run factors --force --run NAME` fits them again"
        raise MissingResultError(f"{path}: {error}", hint) from error
