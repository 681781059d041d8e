"""Tokenizers: trained on the corpus, the model's own, or a pretrained one by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pipeline.contract.errors import ModelError
from pipeline.contract.settings.schema import Settings
from pipeline.model import from_hub_or_folder

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokenizer (Sennrich et al. 2016) of at most `vocab_size` tokens.

    Every byte is a token, so UNKNOWN never occurs; it exists for tools that ask for one.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    # no prefix space: a token's offsets must point into the text as it is
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BEGIN, END, UNKNOWN],
        # all bytes, not only those of the corpus: every text can be encoded
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, unk_token=UNKNOWN
    )


def pretrained_tokenizer(settings: Settings) -> PreTrainedTokenizerBase:
    """Loads the model's own tokenizer, or the one that tokenizer.source names.

    Raises:
        HubUnreachableError: it is on the hub and the hub does not answer.
        ModelError: it does not exist, or is not a fast one, which alone gives character offsets.
    """
    source = settings.tokenizer.source
    name, setting = (
        (settings.model.name, "model.name") if source == "model" else (source, "tokenizer.source")
    )
    if Path(name).is_dir() and not any(Path(name).glob("tokenizer*")):
        raise ModelError(
            f"{setting}: the folder {name} holds no tokenizer",
            "it needs a tokenizer.json, as save_pretrained() writes it",
        )
    tokenizer: PreTrainedTokenizerBase = from_hub_or_folder(
        AutoTokenizer.from_pretrained, name, setting
    )
    if not tokenizer.is_fast:
        raise ModelError(f"{setting} = {name!r}: a tokenizer.json is needed, and there is none")
    return tokenizer
