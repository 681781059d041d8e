"""Kronfluence on a run: its analyzer, and passes over examples that survive what may happen."""

from __future__ import annotations

import gc
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils.memory import should_reduce_batch_size  # type: ignore[import-untyped]
from kronfluence.analyzer import prepare_model
from kronfluence.utils.dataset import DataLoaderKwargs
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from pipeline.contract.errors import ResourceError, SettingsError, UsageError
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import size
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.accelerated.contractions import rotate_examples
from pipeline.influence.accelerated.linear import AcceleratedLinear
from pipeline.influence.arguments import (
    kept_bytes,
    prompt_batches_per_pass,
    prompts_per_batch,
    tokens_per_batch,
)
from pipeline.influence.batches import BudgetedAnalyzer
from pipeline.influence.loss import vocabulary_projection
from pipeline.influence.memory import bytes_per_token, free_bytes
from pipeline.influence.modules import resolve_modules
from pipeline.influence.progress import PhaseProgress
from pipeline.influence.task import LanguageModelingTask


@dataclass(frozen=True)
class Pass:
    """One of Kronfluence's passes over examples; it saves each partition as it finishes."""

    phase: str
    """What progress events call it."""
    folder: Path
    exists: Callable[..., bool]
    """Kronfluence's own check for a finished partition."""
    setting: str
    """The partition settings without "data_partitions" and "module_partitions"."""
    examples: int
    longest: int = 1
    """Tokens of its longest example: no batch is smaller."""
    data_partitions: int = 1
    module_partitions: int = 1
    repeats: int = 1
    """How often it goes over all examples."""
    held: int = 0
    """Bytes that it holds of all modules, beside the model and a batch."""

    @property
    def total(self) -> int:
        """Examples to compute, those of every repeat and module partition counted."""
        return self.examples * self.module_partitions * self.repeats

    @property
    def done(self) -> int:
        """How many of them earlier attempts have saved."""
        if self.exists(output_dir=self.folder):
            return self.total
        if self.data_partitions * self.module_partitions == 1:
            return 0
        parts = list(product(range(self.data_partitions), range(self.module_partitions)))
        saved = sum(self.exists(output_dir=self.folder, partition=part) for part in parts)
        return self.total * saved // len(parts)


class InfluenceAnalyzer:
    """One model, its tracked modules, and Kronfluence's folders below the run."""

    def __init__(
        self, settings: Settings, run: RunDir, events: EventWriter, model: PreTrainedModel
    ) -> None:
        """Takes the model over: Kronfluence wraps its modules in place.

        Raises:
            ModelError: the model has no such modules as the settings name.
        """
        self.settings = settings
        self.run = run
        self.progress = PhaseProgress(events)
        self.modules = resolve_modules(model, settings.modules)
        self._events = events
        self.shapes = [_shape(model, name) for name in self.modules]
        """Outputs and inputs of each."""
        head = vocabulary_projection(model)
        task = LanguageModelingTask(self.modules, settings.run.seed, self.progress.add, head)
        logging.getLogger("kronfluence").setLevel(logging.ERROR)
        with kronfluence_manner(settings.run.tf32):
            self.kronfluence = BudgetedAnalyzer(
                analysis_name=run.analysis_name,
                model=prepare_model(model, task),
                task=task,
                cpu=model.device.type == "cpu",
                disable_tqdm=True,
                output_dir=str(run.root),
            )
        for module in self._accelerated():
            module.keeps_float32 = True
        self.kronfluence.set_dataloader_kwargs(DataLoaderKwargs(collate_fn=pad_batch))

    def go_through(self, pass_: Pass, tokens: int, work: Callable[[int], Any]) -> None:
        """Calls `work(tokens a batch)` with progress events, again with half when memory is out.

        Raises:
            SettingsError: more partitions than there is to part.
            ResourceError: not even one example fits into memory.
            UsageError: another version of this program began it in another way.
        """
        self._check_partitions(pass_)
        if pass_.done < pass_.total:
            self._foretell(pass_, tokens)
        while True:
            try:
                with (
                    self.progress.phase(pass_.phase, pass_.total, pass_.done),
                    kronfluence_manner(self.settings.run.tf32),
                ):
                    work(tokens)
                    return
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
                if tokens <= pass_.longest:
                    hint = "more *_module_partitions, fewer modules or shorter chunks take less"
                    raise ResourceError(f"out of memory: {pass_.phase}", hint) from error
            except ValueError as error:
                if "overwrite_output_dir" not in str(error):
                    raise
                raise self._begun_otherwise(pass_) from error
            tokens = max(pass_.longest, tokens // 2)
            self._events.warning(
                f"{pass_.phase}: out of memory, going on with {tokens} tokens a batch"
            )

    def _begun_otherwise(self, pass_: Pass) -> UsageError:
        stage = pass_.setting.partition(".")[0]
        return UsageError(
            f"{pass_.phase}: what {pass_.folder} holds was begun by another version",
            f"`headwater run {stage} --run {self.run.name} --force` begins anew",
        )

    def _foretell(self, pass_: Pass, tokens: int) -> None:
        """Says what memory the pass will take, before it does."""
        model, held = self.kronfluence.model, pass_.held // pass_.module_partitions
        free, batch = free_bytes(model.device), tokens * bytes_per_token(model, pass_.longest)
        self._events.note(
            f"{pass_.phase}: about {size(held)} for its matrices and {size(batch)} for a batch of "
            f"{tokens:,} tokens; {size(free)} are free"
        )
        if held > free:
            self._events.warning(
                f"{pass_.phase} needs {size(held)}, but {size(free)} are free: more "
                f"{pass_.setting}module_partitions take less"
            )

    def tokens_per_batch(self, wanted: int, examples: TokenDataset) -> int:
        """Token budget of a batch for `wanted` of the longest examples; 0 = what fits."""
        longest = max(examples.lengths)
        if wanted:
            return wanted * longest
        model = self.kronfluence.model
        free, each = free_bytes(model.device), bytes_per_token(model, longest)
        return tokens_per_batch(model.device.type, free, each, longest)

    def pad_token_scores(self, positions: int) -> None:
        """Per-token scores of every batch get so many positions: Kronfluence joins them."""
        for module in self._accelerated():
            module.positions = positions

    def choose_basis(self, prompts: TokenDataset, lengths: Sequence[int], parts: int = 1) -> None:
        """Has the prompts meet examples of such lengths, in so many data partitions, in the
        eigenbasis or in the weights' own: where it is less work for each module."""
        tokens = np.tile(np.array(lengths), self.passes(prompts))
        for module in self._accelerated():
            module.rotates_examples = rotate_examples(
                parts * len(prompts), tokens, *module.gradient_shape
            )

    def _accelerated(self) -> Iterator[AcceleratedLinear]:
        for module in self.kronfluence.model.modules():
            if isinstance(module, AcceleratedLinear):
                yield module

    def passes(self, prompts: TokenDataset) -> int:
        """How often all examples are gone through for these prompts."""
        batches = len(prompts) / self.prompts_per_batch(prompts)
        return math.ceil(batches / self.prompt_batches_per_pass(prompts))

    def prompts_per_batch(self, prompts: TokenDataset) -> int:
        """How many prompts' gradients are held at once."""
        wanted = self.settings.scores.query_batch_size
        return prompts_per_batch(wanted, len(prompts), sum(o * i for o, i in self.shapes))

    def prompt_bytes(self, prompts: TokenDataset) -> int:
        """Memory of the gradients that stay for one pass, and of those being made."""
        at_once = self.prompts_per_batch(prompts)
        rank = self.settings.scores.query_gradient_low_rank
        kept = self.prompt_batches_per_pass(prompts) * kept_bytes(self.shapes, rank)
        return at_once * (kept + (kept_bytes(self.shapes, 0) if rank else 0))

    def prompt_batches_per_pass(self, prompts: TokenDataset) -> int:
        """How many such batches are gathered before one pass over the training examples."""
        chosen = self.settings.scores
        return prompt_batches_per_pass(
            chosen.query_gradient_accumulation_steps,
            len(prompts),
            self.prompts_per_batch(prompts),
            self.shapes,
            chosen.query_gradient_low_rank,
        )

    def _check_partitions(self, pass_: Pass) -> None:
        for kind, parts, there in (
            ("data", pass_.data_partitions, pass_.examples),
            ("module", pass_.module_partitions, len(self.modules)),
        ):
            if parts > there:
                things = "examples" if kind == "data" else "modules"
                raise SettingsError(
                    f"{pass_.setting}{kind}_partitions = {parts}, but there are only {there} "
                    f"{things}; valid: 1 to {there}"
                )


def _shape(model: PreTrainedModel, module: str) -> tuple[int, int]:
    outputs, inputs = model.get_parameter(f"{module}.weight").shape
    return outputs, inputs


@contextmanager
def kronfluence_manner(tf32: bool) -> Iterator[None]:
    """How Kronfluence is called here.

    Attention by plain matrix products, so that a document's gradient does not depend on its
    batch mates; a GPU's float32 products in TF32 if wanted; the many garbage collections spared
    the libraries' objects; and no complaints about the use of an older torch.
    """
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    gc.freeze()
    try:
        with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        gc.unfreeze()
        torch.set_float32_matmul_precision(precision)
