"""Tokenizers: trained on the corpus, the model's own, or a pretrained one by name."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from itertools import pairwise
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pipeline.contract.errors import ModelError
from pipeline.contract.settings.schema import Settings
from pipeline.pretrained.folders import require_tokenizer
from pipeline.pretrained.hub import from_hub_or_folder
from pipeline.pretrained.loading import load_tokenizer_of
from pipeline.pretrained.sources import tokenizer_source

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
_OVERLONG = re.compile(r"\S{1000}|\s{1000}")
_LONGEST = 1 << 20
_POLL_S = 0.1


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
    _stoppable(lambda: tokenizer.train_from_iterator(_cut_words(texts), trainer))
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, unk_token=UNKNOWN
    )


def _cut_words(texts: Iterable[str]) -> Iterator[str]:
    """The texts, parted within what is longer than any word: equal letters, blanks, base64; and
    long ones parted before a blank.

    The time of a training grows with the square of its longest word, its memory with the longest
    text.
    """
    for text in texts:
        bounds = [0, *(match.end() for match in _OVERLONG.finditer(text)), len(text)]
        for first, end in pairwise(bounds):
            while end - first > _LONGEST:
                blank = text.rfind(" ", first + 1, first + _LONGEST)
                cut = blank if blank > 0 else first + _LONGEST
                yield text[first:cut]
                first = cut
            if first < end:
                yield text[first:end]


def _stoppable(work: Callable[[], object]) -> None:
    """Does the work in a thread, so that this one hears a request to stop meanwhile."""
    failed: list[BaseException] = []

    def attempt() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=attempt, name="train a tokenizer", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_POLL_S)
    if failed:
        raise failed[0]


def pretrained_tokenizer(settings: Settings) -> PreTrainedTokenizerBase:
    """Loads the model's own tokenizer, or the one that tokenizer.source names.

    Raises:
        HubUnreachableError: it is on the hub and the hub does not answer.
        ModelError: it does not exist, cannot be read, or is not a fast one, which alone gives
            character offsets.
    """
    source = settings.tokenizer.source
    name, setting = (
        tokenizer_source(settings) if source == "model" else (source, "tokenizer.source")
    )
    if Path(name).is_absolute() and Path(name).is_dir():
        require_tokenizer(Path(name), setting)
    tokenizer: PreTrainedTokenizerBase = from_hub_or_folder(_load, name, setting)
    if not tokenizer.is_fast:
        raise ModelError(f"{setting} = {name!r}: a tokenizer.json is needed, and there is none")
    return tokenizer


def _load(name: str) -> PreTrainedTokenizerBase:
    """Loads a tokenizer.

    Raises:
        ValueError: the library cannot read its tokenizer.json.
        OSError, ValueError: it does not exist, or see `load_tokenizer_of`.
    """
    try:
        return load_tokenizer_of(name)
    except Exception as error:
        # Exception itself is what the library's Rust part raises, KeyError what Python's does
        if type(error) not in (Exception, KeyError):
            raise
        raise ValueError(
            f"its tokenizer.json cannot be read by tokenizers {metadata.version('tokenizers')}: "
            f"{error!r}; a newer version of the library may have written it, or it is damaged"
        ) from error
