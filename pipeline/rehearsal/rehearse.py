"""Does once, on a few tokens, what every later stage will do with the model.

Two training examples and two prompts of at most 16 tokens, made of the run's own; of the passes
that take memory, a few modules of the first and the last layer. So it takes seconds with a small
model and a minute or two of a processor with a billion parameters; it comes before the training.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.errors import ModelError, is_out_of_memory
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import (
    FactorSettings,
    ModuleSettings,
    ScoreSettings,
    Settings,
)
from pipeline.corpus.examples import IGNORED, TokenDataset, TokenRow
from pipeline.influence.experts import join_experts, separate_experts
from pipeline.influence.modules import resolve_modules
from pipeline.model import context_length
from pipeline.rehearsal import passes, probes

_TOKENS = 16
"""Length of the longest row; with two rows to a batch, no dimension is taken for another."""
_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
           ValueError)  # fmt: skip
"""What code of a model that does something else than it is asked to ends in."""


def rehearse(
    settings: Settings,
    run: RunDir,
    events: EventWriter,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: TokenDataset,
) -> None:
    """Tries the model; it is left as it was, and nothing is left in the run.

    Raises:
        ModelError: a later stage could not be right with it; names the module where it is one.
    """
    begun = time.monotonic()
    seen, asked = rows_of(examples, context_length(model.config))
    folder = RunDir(run.stage("train") / ".rehearsal")
    with _undisturbed(model), _told_by(model, folder):
        probes.require_causal(model, seen[0])
        probes.require_rows_apart(model, seen[1], seen[0])
        separate_experts(model)
        names = resolve_modules(model, settings.modules)
        probes.require_unshared(model, names)
        probes.require_called_once(model, names, seen)
        few = passes.affordable(model, names)
        join_experts(model)
        rehearsed = _as_rehearsed(settings)
        worst = passes.compare_norms(rehearsed, folder, model, names, seen)
        passes.score(_tracing(rehearsed, few), folder, model, few, seen, asked)
        passes.generate(model, tokenizer, asked)
    events.note(
        f"rehearsal: {len(names)} modules agree with autograd to {worst:.0e}; causal, rows apart; "
        f"{time.monotonic() - begun:.1f} s"
    )


def rows_of(examples: TokenDataset, context: int | None) -> tuple[list[TokenRow], list[TokenRow]]:
    """Two examples and two prompts of unequal lengths, made of the first examples' tokens."""
    longest = min(_TOKENS, context or _TOKENS)
    tokens: list[int] = []
    index = 0
    while len(tokens) < 2 * longest:
        tokens += examples[index % len(examples)]["input_ids"].tolist()
        index += 1
    short = max(3, 2 * longest // 3)
    seen = [_row(tokens[:longest]), _row(tokens[-short:])]
    asked = [_row(tokens[2 : 2 + short], 2), _row(tokens[1 : 1 + longest], 3)]
    return seen, asked


def _row(tokens: Sequence[int], labelled: int | None = None) -> TokenRow:
    """A row whose last `labelled` tokens are labels; all but the first where None."""
    ids = np.array(tokens, dtype=np.int32)
    labels = ids.copy()
    labels[: -labelled if labelled else 1] = IGNORED
    return TokenDataset([ids], [labels])[0]


def _as_rehearsed(settings: Settings) -> Settings:
    """The settings in full precision and in one part: those are checked by other means."""
    factors = FactorSettings(
        strategies=settings.factors.strategies,
        fisher=settings.factors.fisher,
        offload_activations_to_cpu=settings.factors.offload_activations_to_cpu,
        batch_size=2,
    )
    scores = ScoreSettings(
        damping=settings.scores.damping,
        second_opinions=settings.scores.second_opinions,
        offload_activations_to_cpu=settings.scores.offload_activations_to_cpu,
        batch_size=2,
        query_batch_size=2,
    )
    return settings.model_copy(update={"factors": factors, "scores": scores})


def _tracing(settings: Settings, names: Sequence[str]) -> Settings:
    return settings.model_copy(update={"modules": ModuleSettings(names=list(names))})


@contextmanager
def _undisturbed(model: PreTrainedModel) -> Iterator[None]:
    """Leaves the model, and torch's random numbers, as they were."""
    training = model.training
    wanted = {name: p.requires_grad for name, p in model.named_parameters()}
    with torch.random.fork_rng():
        model.train(False)
        model.requires_grad_(False)
        try:
            yield
        finally:
            passes.unwrap(model)
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(wanted[name])
            model.train(training)


@contextmanager
def _told_by(model: PreTrainedModel, folder: RunDir) -> Iterator[None]:
    """Turns what the model's own code raises into one message, and clears the folder."""
    shutil.rmtree(folder.root, ignore_errors=True)
    try:
        yield
    except _FAULTS as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{type(model).__name__} does not do what influence needs: {reason}",
            "choose a decoder-only model that transformers runs on text, or other modules",
        ) from error
    finally:
        shutil.rmtree(folder.root, ignore_errors=True)
