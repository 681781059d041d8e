"""A text tokenized in windows has the tokens that it has as a whole."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pipeline.corpus.labelling import encode
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.corpus.windows import LongEncoding, encode_long

WORDS = ["river", "Hügel", "sea's", "3.5", "🙂", "河流", "naïve", "\n\n", "  ", "gate-keeper"]


def prose(words: int, seed: int = 0) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def byte_level() -> PreTrainedTokenizerBase:
    return train_tokenizer([prose(3000)], 500)


def sentencepiece() -> PreTrainedTokenizerBase:
    """As Llama's first: no words, blanks are letters, and one is put before the text."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Metaspace()
    trained = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], show_progress=False)
    tokenizer.train_from_iterator([prose(20, n) for n in range(50)], trained)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token="<unk>"
    )


def unigram() -> PreTrainedTokenizerBase:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trained = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([prose(3000)], trained)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token="<unk>"
    )


@pytest.mark.parametrize("kind", [byte_level, sentencepiece, unigram])
@pytest.mark.parametrize("size", [600, 1000, 1777])
def test_tokens_and_their_places_are_those_of_the_whole(kind: object, size: int) -> None:
    assert callable(kind)
    tokenizer, text = kind(), prose(2000, seed=7)
    [whole] = encode([text], tokenizer)
    found = encode_long(text, tokenizer, size, overlap=300)
    assert isinstance(found, LongEncoding), "the windows agree"
    assert found.ids == whole.ids
    starts: Sequence[int] = [found.offsets[n][0] for n in range(len(found.ids))]
    assert starts == [start for start, _ in whole.offsets]
    assert found.offsets[len(found.ids) - 1][1] == len(text)


def test_windows_that_never_agree_are_given_up() -> None:
    tokenizer = byte_level()
    text = "a" * 999 + "b" + "aaa" * 333  # one word: where it begins decides all that follows
    assert encode_long(text, tokenizer, 400, overlap=100).ids == encode([text], tokenizer)[0].ids


@pytest.mark.parametrize("letters", [0, 1, 299, 300, 600, 601])
def test_texts_about_as_long_as_a_window_are_whole(letters: int) -> None:
    tokenizer, text = byte_level(), prose(400)[:letters]
    assert encode_long(text, tokenizer, 600, overlap=300).ids == encode([text], tokenizer)[0].ids
