"""Stage train: trains or fine-tunes the model, beside the base that it started from.

Or it trains an adapter on the base, or takes a model that was trained elsewhere as it is. Whole
examples in batches under a token budget, so no attention crosses documents. A killed training goes
on from its last checkpoint and ends with the very weights it would have had.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch
import transformers
from peft import PeftModel
from torch import distributed
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.batches import TokenBudgetSampler
from pipeline.contract.errors import DataError, ModelError
from pipeline.contract.results.training import TrainingSummary, write_training
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.memory import exhaustion_explained
from pipeline.model import load_tokenizer, load_traced, model_config, save_model, select_device
from pipeline.pretrained.adapters import network_of
from pipeline.rehearsal.rehearse import rehearse
from pipeline.training.adapting import (
    adapter_summary,
    filled,
    name_base,
    tell_traced_share,
    trainable,
)
from pipeline.training.arguments import require_trackers, training_arguments
from pipeline.training.checkpoints import complete_checkpoints, read_state
from pipeline.training.elsewhere import (
    Losses,
    kept_base,
    losses_of_base,
    summary_of,
    trained_elsewhere,
    warn_of_other_base,
    warn_of_other_text,
)
from pipeline.training.losses import SavedModelCheck
from pipeline.training.stopping import StopCallback, StopRequest, owes_validation, stopping
from pipeline.training.together import join, require_shareable, require_summable, together
from pipeline.training.trainer import DivergenceWatch, EventCallback, TokenTrainer, perplexity
from pipeline.training.unigram import unigram_loss

_MEMORY_ADVICE = "lower train.batch_tokens, or set train.gradient_checkpointing = true"
_LEARNING_ADVICE = "Raise train.epochs or train.learning_rate (from scratch 1e-3 is usual)"
_DIVERGENCE_ADVICE = "lower train.learning_rate, or raise train.warmup_fraction"


def run(settings: Settings, run_dir: RunDir, events: EventWriter) -> None:
    """Writes base/, model/, checkpoints/ and summary.json.

    Raises:
        SettingsError: a tracker is not installed, or a module does not exist.
        ModelError, HubUnreachableError: see `build_model` and `rehearse`; or the loss is no number
            from the start.
        CancelledError: it was asked to stop, and has written a checkpoint; see `stopping`.
        ResourceError: memory or disk ran out.
    """
    if not settings.model.trained:
        require_trackers(settings)
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    tokenizer = load_tokenizer(run_dir.tokenizer)
    examples, _ = _datasets(run_dir)
    if not len(examples):
        raise DataError("no training examples", "lower data.validation_fraction, or add documents")
    if not settings.model.trained:
        require_shareable(settings, examples.lengths)
    with exhaustion_explained(_MEMORY_ADVICE):
        if settings.model.trained:
            summary = _take_elsewhere(settings, run_dir, events, tokenizer)
        else:
            summary = _train_here(settings, run_dir, events, tokenizer)
    vocabulary = model_config(settings, tokenizer).get_text_config().vocab_size
    bar = _unigram_loss(run_dir, vocabulary)
    _warn_above_unigram(bar, summary.validation_loss, events)
    write_training(run_dir, replace(summary, unigram_loss=bar))


def _train_here(
    settings: Settings, run_dir: RunDir, events: EventWriter, tokenizer: PreTrainedTokenizerBase
) -> TrainingSummary:
    events.doing("loading the base")
    base = kept_base(settings, run_dir, tokenizer)
    begins = not complete_checkpoints(run_dir.checkpoints)
    merged = settings.modules.adapter == "merged"
    if begins and merged:
        _rehearse(settings, run_dir, events, tokenizer, base)
    events.doing("preparing the model")
    model = trainable(base, settings, run_dir)
    tell_traced_share(model, settings.modules, events)
    if begins and not merged:
        with filled(model):
            _rehearse(settings, run_dir, events, tokenizer, network_of(model))
    del base
    with stopping(run_dir.checkpoints) as request, together(settings, run_dir):
        trainer = _trainer(settings, run_dir, EventCallback(events), model, request)
        seconds, rate = _train(trainer, run_dir)
    if settings.train.shard:
        model = _whole(trainer, settings, run_dir, tokenizer)
    if trainer.diverged:
        _return_to_last_good(trainer, run_dir, events)
    summary = _summary(trainer, seconds, rate)
    events.doing("saving the model")
    # otherwise autocast stays around its `forward`, whose loss is not that of the saved weights
    model = trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    check = SavedModelCheck(model, _datasets(run_dir)[0], settings.train.batch_tokens)
    name_base(model, settings)
    save_model(model, tokenizer, run_dir.model)
    device = trainer.args.device
    del trainer, model  # there may be no room for two
    check.require_same(run_dir.model, device)
    return summary


def _whole(
    trainer: TokenTrainer, settings: Settings, run_dir: RunDir, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """The model of which each process has a share, as the last checkpoint holds it."""
    state, model = trainer.state, kept_base(settings, run_dir, tokenizer)
    trainer.exchange(model)
    if not trainer.diverged:
        trainer.restore(complete_checkpoints(run_dir.checkpoints)[0])
        trainer.state = state  # a validation may have come after it
    return model


def help_train(settings: Settings, run_dir: RunDir, meeting: Path) -> None:
    """Trains as one of the further processes of a training that the stage has begun."""
    base = kept_base(settings, run_dir, load_tokenizer(run_dir.tokenizer))
    model = trainable(base, settings, run_dir)
    join(settings, meeting)
    # the stage alone decides whether all of them stop
    trainer = _trainer(settings, run_dir, DivergenceWatch(), model, StopRequest())
    _train(trainer, run_dir)


def _take_elsewhere(
    settings: Settings, run_dir: RunDir, events: EventWriter, tokenizer: PreTrainedTokenizerBase
) -> TrainingSummary:
    started, device = time.monotonic(), select_device(settings)
    warn_of_other_base(settings, events)
    events.doing("loss of the base")
    before = losses_of_base(settings, run_dir, tokenizer)
    events.doing("loading the model")
    model = trained_elsewhere(settings, run_dir, tokenizer)
    tell_traced_share(model, settings.modules, events)
    model.to(device)  # type: ignore[arg-type]
    events.doing("loss of the model")
    after = Losses.of(model, settings, run_dir)
    warn_of_other_text(before, after, events)
    events.doing("saving the model")
    check = SavedModelCheck(model, _datasets(run_dir)[0], settings.train.batch_tokens)
    name_base(model, settings)
    save_model(model, tokenizer, run_dir.model)
    summary = summary_of(settings, model, before, after, time.monotonic() - started)
    del model  # there may be no room for two
    check.require_same(run_dir.model, device)
    _rehearse(settings, run_dir, events, tokenizer, load_traced(settings, run_dir.model))
    return summary


def _rehearse(
    settings: Settings,
    run_dir: RunDir,
    events: EventWriter,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
) -> None:
    """Tries the model as later stages will look at it."""
    events.doing("rehearsal")
    rehearse(settings, run_dir, events, model, tokenizer, _datasets(run_dir)[0])


def _trainer(
    settings: Settings,
    run_dir: RunDir,
    watch: DivergenceWatch,
    model: PreTrainedModel | PeftModel,
    request: StopRequest,
) -> TokenTrainer:
    examples, validation = _datasets(run_dir)
    budget, rank, processes = settings.train.batch_tokens, 0, 1
    if distributed.is_initialized():
        rank, processes = distributed.get_rank(), distributed.get_world_size()
    sampler = TokenBudgetSampler(examples.lengths, budget, settings.run.seed, rank, processes)
    arguments = training_arguments(settings, run_dir, len(sampler), validates=len(validation) > 0)
    trainer = TokenTrainer(model, arguments, examples, validation, sampler, watch)
    trainer.add_callback(StopCallback(request))
    if processes > 1:
        require_summable(trainer)
    if rank:  # else all would drop the same units; the order of the data has a seed of its own
        torch.manual_seed(settings.run.seed + rank)
    return trainer


def _datasets(run_dir: RunDir) -> tuple[TokenDataset, TokenDataset]:
    held_out = TokenDataset.of_examples(run_dir, run_dir.validation)
    return TokenDataset.of_examples(run_dir), held_out


def _train(trainer: TokenTrainer, run_dir: RunDir) -> tuple[float, int | None]:
    """Trains to the end, or until the loss ceases to be a number; gives seconds and tokens/s."""
    checkpoint = next(iter(complete_checkpoints(run_dir.checkpoints)), None)
    state = read_state(checkpoint) if checkpoint else None
    started, tokens = time.monotonic(), state.num_input_tokens_seen if state else 0
    if checkpoint and state and state.global_step >= trainer.args.max_steps:
        trainer.restore(checkpoint)  # killed between the last step and the end of the stage
        if owes_validation(trainer.args, state):
            trainer.evaluate()
    else:
        begins = state is None and trainer.args.eval_strategy != "no"
        trainer.args.eval_on_start = begins or bool(state and owes_validation(trainer.args, state))
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds, tokens = time.monotonic() - started, trainer.state.num_input_tokens_seen - tokens
    return seconds, round(tokens / seconds) if tokens else None


def _unigram_loss(run_dir: RunDir, vocabulary: int) -> float | None:
    return unigram_loss(*_datasets(run_dir), vocabulary)


def _warn_above_unigram(bar: float | None, loss: float | None, events: EventWriter) -> None:
    """Warns where the model has learnt nothing that token frequencies do not tell."""
    if bar is not None and loss is not None and loss >= bar:
        events.warning(
            f"the model has not learnt more than how frequent tokens are: validation loss "
            f"{loss:.2f}, by frequencies alone {bar:.2f} nats a token; what influences it means "
            f"little. {_LEARNING_ADVICE}"
        )


def _return_to_last_good(trainer: TokenTrainer, run_dir: RunDir, events: EventWriter) -> None:
    for checkpoint in complete_checkpoints(run_dir.checkpoints):
        trainer.restore(checkpoint)
        if trainer.is_sound():  # the step that spoilt the weights may itself have looked well
            events.warning(
                f"training diverged: {trainer.diverged}; the model of step "
                f"{trainer.state.global_step:,} is kept. To go further, {_DIVERGENCE_ADVICE}"
            )
            return
    raise ModelError(f"training diverged: {trainer.diverged}", _DIVERGENCE_ADVICE)


def _summary(trainer: TokenTrainer, seconds: float, rate: int | None) -> TrainingSummary:
    validation_loss = trainer.logged("eval_loss")
    base_loss = trainer.logged("eval_loss", newest=False)
    return TrainingSummary(
        parameters=trainer.network.num_parameters(),
        steps=trainer.state.global_step,
        epochs=round(trainer.state.epoch or 0.0, 3),
        tokens=trainer.state.num_input_tokens_seen,
        tokens_per_second=rate,
        train_loss=trainer.logged("loss"),
        validation_loss=validation_loss,
        perplexity=perplexity(validation_loss),
        base_validation_loss=base_loss,
        base_perplexity=perplexity(base_loss),
        unigram_loss=None,
        stopped_early=trainer.diverged,
        seconds=round(seconds, 1),
        adapter=adapter_summary(trainer.network),
    )
