"""Runs Kronfluence's passes over examples, with progress events, retries and resuming."""

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

from pipeline.contract.errors import (
    ResourceError,
    SettingsError,
    UsageError,
    is_out_of_memory,
)
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import size
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.accelerated.contractions import eigenbasis_is_cheaper
from pipeline.influence.accelerated.linear import AcceleratedLinear
from pipeline.influence.arguments import (
    gradient_bytes,
    prompt_batches_per_pass,
    prompts_per_batch,
    tokens_per_batch,
)
from pipeline.influence.budgeted_analyzer import BudgetedAnalyzer
from pipeline.influence.coverage import coverage
from pipeline.influence.durable import durable_files
from pipeline.influence.experts import separate_experts
from pipeline.influence.loss import vocabulary_projection
from pipeline.influence.memory_estimate import bytes_per_token, free_bytes
from pipeline.influence.modules import resolve_modules, weight_shape
from pipeline.influence.progress import PhaseProgress
from pipeline.influence.task import LanguageModelingTask


@dataclass(frozen=True)
class Pass:
    """One of Kronfluence's passes over examples; each partition is saved as it finishes."""

    phase: str
    """Name of the pass in progress events and messages."""
    folder: Path
    """Where Kronfluence saves the result."""
    exists: Callable[..., bool]
    """Kronfluence's check whether the result, or one partition of it, has been saved."""
    setting: str
    """Prefix of the partition settings: "scores." for scores.data_partitions."""
    examples: int
    longest: int = 1
    """Tokens of the longest example: the smallest token budget of a batch."""
    data_partitions: int = 1
    module_partitions: int = 1
    repeats: int = 1
    """Number of passes over all examples, one after another."""
    matrix_bytes: int = 0
    """Bytes of factors and prompt gradients of all modules, beside the model and a batch."""

    @property
    def total(self) -> int:
        """Examples to process, counted once for each repeat and module partition."""
        return self.examples * self.module_partitions * self.repeats

    @property
    def done(self) -> int:
        """How many of `total` earlier attempts have saved."""
        if self.exists(output_dir=self.folder):
            return self.total
        if self.data_partitions * self.module_partitions == 1:
            return 0  # a pass in one partition is saved as a whole, or not at all
        parts = list(product(range(self.data_partitions), range(self.module_partitions)))
        saved = sum(self.exists(output_dir=self.folder, partition=part) for part in parts)
        return self.total * saved // len(parts)


class InfluenceAnalyzer:
    """Computes factors and scores of one model with Kronfluence, into the folder of a run."""

    def __init__(
        self, settings: Settings, run: RunDir, events: EventWriter, model: PreTrainedModel
    ) -> None:
        """Wraps the model's tracked modules in place.

        Raises:
            ModelError: the model lacks the modules that the settings name.
        """
        self.settings = settings
        self.run = run
        self.progress = PhaseProgress(events)
        separate_experts(model)
        self.modules = resolve_modules(model, settings.modules)
        self.coverage = coverage(model, self.modules, settings.modules)
        self._events = events
        self.shapes = [weight_shape(model.get_submodule(name)) for name in self.modules]
        """[O, I] of each tracked module's weight."""
        head = vocabulary_projection(model)
        task = LanguageModelingTask(self.modules, settings.run.seed, self.progress.add, head)
        # its log lines would repeat what the progress events say
        logging.getLogger("kronfluence").setLevel(logging.ERROR)
        with kronfluence_context(settings.run.tf32):
            self.kronfluence = BudgetedAnalyzer(
                analysis_name=run.analysis_name,
                model=prepare_model(model, task),
                task=task,
                cpu=model.device.type == "cpu",
                disable_tqdm=True,  # progress events take its place
                output_dir=str(run.root),
            )
        for module in self._accelerated():
            # half precision would round distinct scores to equal ones and lose their order
            module.keeps_float32 = True
        self.kronfluence.set_dataloader_kwargs(DataLoaderKwargs(collate_fn=pad_batch))

    def run_pass(self, pass_: Pass, tokens: int, work: Callable[[int], Any]) -> None:
        """Calls `work(token budget of a batch)`, with half the budget again when out of memory.

        Partitions that were saved before are not computed again.

        Raises:
            SettingsError: more partitions than examples or modules.
            ResourceError: not even the longest example alone fits into memory.
            UsageError: another version began the pass with other arguments.
        """
        self._check_partitions(pass_)
        if pass_.done < pass_.total:
            self._log_memory_estimate(pass_, tokens)
        while True:
            try:
                with (
                    self.progress.phase(pass_.phase, pass_.total, pass_.done),
                    kronfluence_context(self.settings.run.tf32),
                ):
                    work(tokens)
                    return
            except (RuntimeError, MemoryError) as error:
                # accelerate knows the messages of each device for lack of memory
                if not (should_reduce_batch_size(error) or is_out_of_memory(error)):
                    raise
                if tokens <= pass_.longest:
                    hint = "more *_module_partitions, fewer modules or shorter chunks take less"
                    raise ResourceError(
                        f"out of memory: {pass_.phase}: not even the longest example, of "
                        f"{pass_.longest:,} tokens, fits alone",
                        hint,
                    ) from error
            except ValueError as error:
                # Kronfluence goes on with a pass only under the arguments that it began with
                if "overwrite_output_dir" not in str(error):
                    raise
                raise self._version_conflict(pass_) from error
            tokens = max(pass_.longest, tokens // 2)
            self._events.warning(
                f"{pass_.phase}: out of memory, going on with {tokens} tokens a batch"
            )

    def _version_conflict(self, pass_: Pass) -> UsageError:
        stage = pass_.setting.partition(".")[0]
        return UsageError(
            f"{pass_.phase}: what {pass_.folder} holds was begun by another version",
            f"`headwater run {stage} --run {self.run.name} --force` begins anew",
        )

    def _log_memory_estimate(self, pass_: Pass, tokens: int) -> None:
        """Logs the memory that the pass will need, and warns if less is free."""
        # a pass loads one module partition after another
        model, matrix_bytes = self.kronfluence.model, pass_.matrix_bytes // pass_.module_partitions
        free, batch = free_bytes(model.device), tokens * bytes_per_token(model, pass_.longest)
        self._events.note(
            f"{pass_.phase}: about {size(matrix_bytes)} for its matrices and {size(batch)} for a "
            f"batch of {tokens:,} tokens; {size(free)} are free"
        )
        if matrix_bytes > free:
            self._events.warning(
                f"{pass_.phase} needs {size(matrix_bytes)}, but {size(free)} are free: more "
                f"{pass_.setting}module_partitions take less"
            )

    def tokens_per_batch(self, wanted: int, examples: TokenDataset) -> int:
        """Token budget of a batch for `wanted` of the longest examples; 0 = by free memory."""
        longest = max(examples.lengths)
        if wanted:
            return wanted * longest  # settings count examples, a budget counts tokens
        model = self.kronfluence.model
        free, each = free_bytes(model.device), bytes_per_token(model, longest)
        return tokens_per_batch(model.device.type, free, each, longest)

    def pad_token_scores(self, positions: int) -> None:
        """Pads each batch's per-token scores to one length, so that Kronfluence can join them."""
        for module in self._accelerated():
            module.positions = positions

    def choose_basis(self, prompts: TokenDataset, lengths: Sequence[int], parts: int = 1) -> None:
        """Chooses each module's basis for multiplying prompts' with examples' gradients.

        In the eigenbasis every example's gradient is rotated into it; in parameter space every
        preconditioned prompt gradient is rotated back, in each data partition and pass anew. The
        cheaper one is taken. `lengths`: tokens of each example; `parts`: data partitions.
        """
        # every pass over the examples rotates all of them again
        tokens = np.tile(np.array(lengths), self.passes(prompts))
        for module in self._accelerated():
            module.scores_in_eigenbasis = eigenbasis_is_cheaper(
                parts * len(prompts), tokens, *module.gradient_shape
            )

    def _accelerated(self) -> Iterator[AcceleratedLinear]:
        for module in self.kronfluence.model.modules():
            if isinstance(module, AcceleratedLinear):
                yield module

    def passes(self, prompts: TokenDataset) -> int:
        """Number of passes over all training examples that these prompts need."""
        batches = len(prompts) / self.prompts_per_batch(prompts)
        return math.ceil(batches / self.prompt_batches_per_pass(prompts))

    def prompts_per_batch(self, prompts: TokenDataset) -> int:
        """Number of prompts in a batch, limited by the memory of their gradients."""
        wanted = self.settings.scores.query_batch_size
        return prompts_per_batch(wanted, len(prompts), sum(o * i for o, i in self.shapes))

    def prompt_gradient_bytes(self, prompts: TokenDataset) -> int:
        """Bytes of the prompt gradients kept for a pass, and of a batch's before compression."""
        at_once = self.prompts_per_batch(prompts)
        rank = self.settings.scores.query_gradient_low_rank
        kept = self.prompt_batches_per_pass(prompts) * gradient_bytes(self.shapes, rank)
        return at_once * (kept + (gradient_bytes(self.shapes, 0) if rank else 0))

    def prompt_batches_per_pass(self, prompts: TokenDataset) -> int:
        """Number of prompt batches that share one pass over the training examples."""
        chosen = self.settings.scores
        return prompt_batches_per_pass(
            chosen.query_gradient_accumulation_steps,
            len(prompts),
            self.prompts_per_batch(prompts),
            self.shapes,
            chosen.query_gradient_low_rank,
        )

    def _check_partitions(self, pass_: Pass) -> None:
        for kind, parts, available in (
            ("data", pass_.data_partitions, pass_.examples),
            ("module", pass_.module_partitions, len(self.modules)),
        ):
            if parts > available:
                things = "examples" if kind == "data" else "modules"
                raise SettingsError(
                    f"{pass_.setting}{kind}_partitions = {parts}, but there are only {available} "
                    f"{things}; valid: 1 to {available}"
                )


@contextmanager
def kronfluence_context(tf32: bool) -> Iterator[None]:
    """Context for Kronfluence's computations; `tf32` allows TF32 products on a GPU.

    Attention is computed by plain matrix products, so that a gradient does not depend on the
    other examples of its batch.
    """
    # a setting of the whole process, so it is restored afterwards
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    # Kronfluence collects garbage often: exempt the objects of all loaded libraries from the scan
    gc.freeze()
    try:
        # fused attention kernels round differently for other paddings of the same example
        with durable_files(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            # Kronfluence calls functions that newer versions of torch deprecate
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        gc.unfreeze()
        torch.set_float32_matmul_precision(precision)
