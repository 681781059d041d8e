"""Tokenizers: trained on the corpus, the model's own, or by name."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pipeline.contract.errors import ModelError
from pipeline.contract.settings import Settings
from pipeline.model import check_fit, from_hub_or_folder, pretrained_config

BEGIN, END = "<s>", "</s>"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE (Sennrich et al. 2016): no text is out of its vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END)


def ready_tokenizer(settings: Settings) -> PreTrainedTokenizerBase:
    """The model's own tokenizer or one by name, checked against a pretrained model.

    Raises:
        HubUnreachableError, ModelError: it cannot be had, gives no offsets, or does not fit.
    """
    source = settings.tokenizer.source
    name, setting = (
        (settings.model.name, "model.name") if source == "model" else (source, "tokenizer.source")
    )
    tokenizer: PreTrainedTokenizerBase = from_hub_or_folder(
        AutoTokenizer.from_pretrained, name, setting
    )
    if not tokenizer.is_fast:
        raise ModelError(f"{setting} = {name!r}: a tokenizer.json is needed, and there is none")
    if settings.model.init == "pretrained":
        check_fit(pretrained_config(settings.model.name), tokenizer, settings)
    return tokenizer
