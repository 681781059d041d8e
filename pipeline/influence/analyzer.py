"""Runs Kronfluence's passes over examples, with progress events, retries and resuming."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import cached_property
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
from pipeline.contract.results.budget import Budget, read_budget, write_budget
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.contract.units import size
from pipeline.corpus.examples import TokenDataset, pad_batch
from pipeline.influence.accelerated.contractions import eigenbasis_is_cheaper
from pipeline.influence.accelerated.linear import AcceleratedLinear
from pipeline.influence.arguments import gradient_bytes, resident_bytes, tokens_per_batch
from pipeline.influence.budgeted_analyzer import BudgetedAnalyzer
from pipeline.influence.budgets import (
    Gathering,
    gathering,
    modules_at_once,
    prompt_memory,
    workspace,
)
from pipeline.influence.coverage import coverage
from pipeline.influence.durable import Place, durable_files
from pipeline.influence.experts import separate_experts
from pipeline.influence.loss import vocabulary_projection
from pipeline.influence.memory_estimate import bytes_per_token, free_bytes
from pipeline.influence.modules import resolve_modules, weight_shape
from pipeline.influence.passes import Pass
from pipeline.influence.progress import PhaseProgress
from pipeline.influence.settled import rank_of, settled, with_rank
from pipeline.influence.task import LanguageModelingTask
from pipeline.sharing.stage import Sharing


class InfluenceAnalyzer:
    """Computes factors and scores of one model with Kronfluence, into the folder of a run."""

    def __init__(
        self,
        settings: Settings,
        run: RunDir,
        events: EventWriter,
        model: PreTrainedModel,
        phases_of: str = "",
    ) -> None:
        """Wraps the model's tracked modules in place. `phases_of`: see `PhaseProgress`.

        Raises:
            ModelError: the model lacks the modules that the settings name.
        """
        self.wanted = settings
        """As a person has given them."""
        self.settings = settled(settings, run)
        """With what was decided in the place of every "auto" of influence."""
        self.run = run
        self.sharing: Sharing | None = None
        """Who else computes partitions of its passes; None = nobody."""
        self.progress = PhaseProgress(events, phases_of)
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
        with kronfluence_context(self._tf32):
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

    @property
    def _tf32(self) -> bool:
        return bool(self.settings.run.tf32)

    def note(self, message: str) -> None:
        """Reports what was found or chosen."""
        self._events.note(message)

    def run_pass(self, pass_: Pass, tokens: int, work: Callable[[int], Any]) -> None:
        """Calls `work(token budget of a batch)`, with half the budget again when out of memory.

        Partitions that were saved before are not computed again, nor those that other workers do.

        Raises:
            SettingsError: more partitions than examples or modules.
            ResourceError: not even the longest example alone fits into memory.
            UsageError: another version began the pass with other arguments.
        """
        self._check_partitions(pass_)
        tokens = self.sharing.tokens(tokens) if self.sharing else tokens
        if pass_.done < pass_.total:
            self._log_memory_estimate(pass_, tokens)
        while True:
            try:
                with (
                    self.progress.phase(pass_.phase, pass_.total, pass_.done),
                    self._shared(pass_, tokens),
                    kronfluence_context(self._tf32, self.sharing.place if self.sharing else None),
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

    @contextmanager
    def _shared(self, pass_: Pass, tokens: int) -> Iterator[None]:
        """Context in which Kronfluence does the partitions of a pass that no other worker does."""
        has_parts = len(pass_.parts) > 1 and pass_.arguments is not None
        if self.sharing is None or not has_parts or pass_.done == pass_.total:
            yield
            return
        parts = self.sharing.parts(pass_, tokens, self.settings, self.progress.add)
        with closing(parts), self.kronfluence.only(parts, merges=self.sharing.merges):
            yield

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

    def tokens_per_batch(self, wanted: int, examples: TokenDataset, held: int = 0) -> int:
        """Token budget of a batch for `wanted` of the longest examples; 0 = by free memory.

        `held`: bytes of it that the pass takes for other things.
        """
        longest = max(examples.lengths)
        if wanted:
            return wanted * longest  # settings count examples, a budget counts tokens
        model = self.kronfluence.model
        free, each = free_bytes(model.device), bytes_per_token(model, longest)
        return tokens_per_batch(model.device.type, max(0, free - held), each, longest)

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
        tokens = np.tile(np.array(lengths), self.gathering(prompts).passes)
        for module in self._accelerated():
            module.scores_in_eigenbasis = eigenbasis_is_cheaper(
                parts * len(prompts), tokens, *module.gradient_shape
            )

    def _accelerated(self) -> Iterator[AcceleratedLinear]:
        for module in self.kronfluence.model.modules():
            if isinstance(module, AcceleratedLinear):
                yield module

    def gathering(self, prompts: TokenDataset, rank: int | None = None) -> Gathering:
        """How many prompts' gradients are held at once, and share a pass over the examples.

        `rank`: that they are compressed to; None = as was decided.
        """
        chosen = self.settings.scores
        return gathering(
            self.kronfluence.model.device.type,
            self.budget.prompts,
            len(prompts),
            self.modules_at_once,
            rank_of(self.settings) if rank is None else rank,
            chosen.query_batch_size,
            chosen.query_gradient_accumulation_steps,
        )

    @cached_property
    def budget(self) -> Budget:
        """What scoring takes of the device's memory; decided once, then kept beside the scores."""
        if found := read_budget(self.run):
            return found
        model = self.kronfluence.model
        device, longest = model.device, self.settings.data.max_tokens
        free = free_bytes(device)
        strategies = self.settings.factors.strategies
        held = max(resident_bytes(self.modules_at_once, strategy) for strategy in strategies)
        least = longest * bytes_per_token(model, longest)
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        budget = Budget(name, free, prompt_memory(device.type, free, held, least))
        write_budget(self.run, budget)
        return budget

    def compress(self, rank: int, reason: str) -> None:
        """Compresses prompts' gradients to this rank from now on, and in every later attempt."""
        self.budget = replace(self.budget, rank=rank, rank_reason=reason)
        write_budget(self.run, self.budget)
        self.settings = with_rank(self.settings, rank)

    def halve_budget(self, prompts: TokenDataset) -> bool:
        """Takes half of the memory for prompts' gradients from now on, if that makes more passes.

        False where the settings say how many there are, or a pass serves one prompt already.
        """
        before = self.gathering(prompts).passes
        while self.gathering(prompts).passes == before:
            if not self.budget.prompts:
                return False
            self.budget = replace(self.budget, prompts=self.budget.prompts // 2)
        write_budget(self.run, self.budget)
        self._events.warning(
            f"out of memory: going on with {size(self.budget.prompts)} for the prompts' gradients"
        )
        return True

    @property
    def modules_at_once(self) -> Sequence[tuple[int, int]]:
        """[O, I] of the modules whose scores the device computes at the same time."""
        kind, parts = self.kronfluence.model.device.type, self.settings.scores.module_partitions
        return modules_at_once(kind, self.shapes, parts)

    def prompt_gradient_bytes(
        self, prompts: TokenDataset, shapes: Sequence[tuple[int, int]]
    ) -> int:
        """Bytes of the prompt gradients kept for a pass, and of what a batch takes for a moment, of
        modules of these shapes."""
        gathered, rank = self.gathering(prompts), rank_of(self.settings)
        kept = gathered.at_once * gathered.batches * gradient_bytes(shapes, rank)
        return kept + workspace(gathered.at_once, shapes)

    def take_up(self, settings: Settings) -> None:
        """Goes on under settings that another process has decided, and under its budget."""
        self.settings = settings
        self.__dict__.pop("budget", None)

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
def kronfluence_context(tf32: bool, place: Place | None = None) -> Iterator[None]:
    """Context for Kronfluence's computations; `tf32` allows TF32 products on a GPU, `place` says
    where files are written instead of their own places.

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
        with durable_files(place), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            # Kronfluence calls functions that newer versions of torch deprecate
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        gc.unfreeze()
        torch.set_float32_matmul_precision(precision)
