"""Takes a model that was trained elsewhere as the run's own, and keeps the base beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.results.training import TrainingSummary
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import adapters_base
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.model import build_model, load_model, load_pretrained, save_model, select_device
from pipeline.pretrained.adapters import with_ready_adapter
from pipeline.pretrained.decoding import decode_plainly
from pipeline.pretrained.quantised import quantised
from pipeline.pretrained.sources import TRAINED, base_name, ready_adapter
from pipeline.training.adapting import adapter_summary
from pipeline.training.losses import SavedModelCheck, mean_loss, sampled
from pipeline.training.trainer import perplexity


@dataclass(frozen=True)
class Losses:
    """Of a model on the run's text, nats a token; None where there is no such text or model."""

    training: float | None = None
    """Of a sample of the training examples."""
    validation: float | None = None

    @classmethod
    def of(cls, model: torch.nn.Module, settings: Settings, run: RunDir) -> Losses:
        """Measures them where the model is."""
        budget = settings.train.batch_tokens
        held_out = TokenDataset.of_examples(run, run.validation)
        training = mean_loss(model, sampled(TokenDataset.of_examples(run)), budget)
        return cls(training, mean_loss(model, held_out, budget))


def kept_base(
    settings: Settings, run: RunDir, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel:
    """The model before training, kept so that the trained one can be compared with it.

    It is where the settings want it; with model.quantization it is kept as it was rounded.

    Raises:
        ModelError, HubUnreachableError: see `build_model`; or it does not load as it was saved.
    """
    device, wanted = select_device(settings), settings.model.quantization
    if run.base.exists():
        return load_model(run.base, device)
    model = build_model(settings, tokenizer)
    if wanted != "none":
        model = quantised(model, wanted, device, run.base.with_name(".unrounded"))
        decode_plainly(model, tokenizer)
    model.to(device)  # type: ignore[arg-type]
    examples = TokenDataset.of_examples(run)
    check = SavedModelCheck(model, examples, settings.train.batch_tokens)
    save_model(model, tokenizer, run.base)
    check.require_same(run.base, device)
    return model


def losses_of_base(settings: Settings, run: RunDir, tokenizer: PreTrainedTokenizerBase) -> Losses:
    """Those of the base, which is kept; none where the settings name no base."""
    if not base_name(settings):
        return Losses()
    return Losses.of(kept_base(settings, run, tokenizer), settings, run)


def trained_elsewhere(
    settings: Settings, run: RunDir, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel | PeftModel:
    """The model that model.trained names, complete and in float32; an adapter on its base.

    Raises:
        ModelError, HubUnreachableError: see `load_pretrained` and `with_ready_adapter`.
    """
    adapter = ready_adapter(settings)
    if adapter is None:
        return load_pretrained(settings, tokenizer, settings.model.trained, TRAINED)
    return with_ready_adapter(kept_base(settings, run, tokenizer), adapter, TRAINED)


def summary_of(
    settings: Settings,
    model: PreTrainedModel | PeftModel,
    before: Losses,
    after: Losses,
    seconds: float,
) -> TrainingSummary:
    """What is known of a training that was done elsewhere."""
    return TrainingSummary(
        parameters=model.num_parameters(),
        steps=0,
        epochs=0.0,
        tokens=0,
        tokens_per_second=None,
        train_loss=after.training,
        validation_loss=after.validation,
        perplexity=perplexity(after.validation),
        base_validation_loss=before.validation,
        base_perplexity=perplexity(before.validation),
        unigram_loss=None,
        stopped_early=None,
        seconds=round(seconds, 1),
        trained_elsewhere=settings.model.trained,
        adapter=adapter_summary(model),
    )


def warn_of_other_base(settings: Settings, events: EventWriter) -> None:
    """Warns where the adapter names another base than the settings: shapes alone cannot tell."""
    adapter = ready_adapter(settings)
    named, chosen = adapters_base(adapter) if adapter else "", settings.model.name
    if named and chosen and Path(named).name.lower() != Path(chosen).name.lower():
        events.warning(
            f"the adapter says that it was trained on {named}, model.name is {chosen}: unless both "
            "are the same weights, its answers and all scores are those of no model"
        )


def warn_of_other_text(before: Losses, after: Losses, events: EventWriter) -> None:
    """Warns where the model does not look as if it was trained on the run's text."""
    if before.training is None or after.training is None:
        return
    if after.training >= before.training:
        events.warning(
            "the model finds the training text no likelier than its base does "
            f"({after.training:.3f} against {before.training:.3f} nats a token): was it trained "
            "on this text, and from this base?"
        )
