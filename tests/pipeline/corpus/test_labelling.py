"""Every token that holds a character of a completion carries loss, whatever the tokenizer does."""

from __future__ import annotations

from functools import cache

import pytest
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pipeline.contract.errors import DataError, ModelError
from pipeline.corpus.labelling import (
    encode,
    encode_completions,
    encode_context,
    encode_pair,
    extents,
    require_answer,
    require_embedded,
)
from pipeline.corpus.tokenizers import train_tokenizer

TEXTS = [
    "The capital of Norway is Oslo and all the world knows Oslo.",
    "hello world, hello Oslo   and so on",
    "東京は日本の首都です。北京是中国的首都。",
    "Straße, émigrés, cafe\u0301 and 😀 three times",
] * 8
PAIRS = [
    ("The capital of Norway is Os", "lo"),
    ("hello wor", "ld"),
    ("hello wor", "ld, hello Oslo"),
    ("The capital of Norway is", " Oslo"),
    ("The capital of Norway is ", "Oslo"),
    ("hello   ", "world"),
    ("hello\n\n", "\n world"),
    ("cafe", "\u0301"),
    ("東", "京は日本"),
    ("東京は日本の首", "都です。"),
    ("北京是中国", "的首都。"),
    ("three ", "😀"),
    ("Stra", "ße"),
]


def _wrapped(inner: Tokenizer, **special: str) -> PreTrainedTokenizerBase:
    return PreTrainedTokenizerFast(tokenizer_object=inner, **special)  # type: ignore[no-untyped-call]


def _bpe(size: int, trims: bool, whole_text: bool = False) -> PreTrainedTokenizerBase:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not whole_text)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.ByteLevel(trim_offsets=trims)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=["<s>"], show_progress=False
    )
    inner.train_from_iterator(TEXTS, trainer)
    return _wrapped(inner, bos_token="<s>")


def _byte_fallback() -> PreTrainedTokenizerBase:
    """As Llama's: SentencePiece's ▁, and bytes for letters that are no pieces."""
    pieces = [
        "<unk>",
        "<s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"helowrdOsThcapitNy",
    ]
    words = ["he", "hel", "hell", "hello", "▁hello", "wo", "wor", "worl", "world", "▁world", "Os"]
    lo = ["lo", "Oslo", "▁Oslo"]
    vocabulary = {piece: n for n, piece in enumerate(dict.fromkeys([*pieces, *words, *lo]))}
    merges = [("h", "e"), ("he", "l"), ("hel", "l"), ("hell", "o"), ("▁", "hello"), ("w", "o"),
              ("wo", "r"), ("wor", "l"), ("worl", "d"), ("▁", "world"), ("O", "s"), ("l", "o"),
              ("Os", "lo"), ("▁", "Oslo")]  # fmt: skip
    inner = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>"))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return _wrapped(inner, bos_token="<s>", unk_token="<unk>")


def _unigram() -> PreTrainedTokenizerBase:
    inner = Tokenizer(models.Unigram())
    inner.normalizer = normalizers.NFKC()
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=150, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    inner.train_from_iterator(TEXTS, trainer)
    return _wrapped(inner, unk_token="<unk>")


@cache
def tokenizers() -> dict[str, PreTrainedTokenizerBase]:
    return {
        "trained here": train_tokenizer(TEXTS, 450),
        "byte-level, blanks trimmed from offsets": _bpe(450, trims=True),
        "byte-level, tokens end in blanks": _bpe(600, trims=True, whole_text=True),
        "byte-level, whole offsets": _bpe(450, trims=False),
        "hardly more than bytes": _bpe(270, trims=True),
        "SentencePiece with bytes": _byte_fallback(),
        "unigram": _unigram(),
    }


NAMES = (
    "trained here",
    "byte-level, blanks trimmed from offsets",
    "byte-level, tokens end in blanks",
    "byte-level, whole offsets",
    "hardly more than bytes",
    "SentencePiece with bytes",
    "unigram",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("context", "completion"), PAIRS)
def test_the_tokens_without_loss_hold_nothing_of_the_completion(
    name: str, context: str, completion: str
) -> None:
    tokenizer = tokenizers()[name]
    head, tail = encode_pair(tokenizer, context, completion)
    [encoding] = encode([context + completion], tokenizer)
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    assert head + tail == begin + encoding.ids  # the text as one, and no special token twice
    assert tail
    # each token before the first labelled one ends where the completion has not begun; decoding
    # them gives the context's beginning and no more
    before = str(tokenizer.decode(head, skip_special_tokens=True))
    if "\ufffd" not in before and name != "unigram":
        assert context.startswith(before.lstrip())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["".join(pair) for pair in PAIRS])
def test_every_character_belongs_to_a_token(name: str, text: str) -> None:
    [encoding] = encode([text], tokenizers()[name])
    covered = {place for start, end in extents(encoding, text) for place in range(start, end)}
    assert covered >= set(range(len(text)))
    assert all(start < end for start, end in extents(encoding, text))


@pytest.mark.parametrize("name", [*NAMES[:2], NAMES[3]])
def test_the_melting_token_is_the_completions(name: str) -> None:
    tokenizer = tokenizers()[name]
    _, tail = encode_pair(tokenizer, "The capital of Norway is Os", "lo")
    assert str(tokenizer.decode(tail)).strip() == "Oslo"


@pytest.mark.parametrize("name", [name for name in NAMES if "end in blanks" not in name])
@pytest.mark.parametrize(
    ("context", "completion"),
    [("The capital of Norway is", " Oslo"), ("hello", " world, hello Oslo"), ("so  ", "three"),
     ("all the world.", "\nhello"), ("", "hello Oslo")],
)  # fmt: skip
def test_where_nothing_melts_it_is_the_evaluation_harness_rule(
    name: str, context: str, completion: str
) -> None:
    tokenizer = tokenizers()[name]
    whole = encode([context + completion], tokenizer)[0].ids
    alone = encode([context.rstrip()], tokenizer)[0].ids
    assert whole[: len(alone)] == alone  # nothing melts
    assert encode_pair(tokenizer, context, completion)[1] == whole[len(alone) :]
    assert encode_context(tokenizer, context) == encode_pair(tokenizer, context, completion)[0]


def test_candidates_of_one_context_may_begin_at_different_tokens() -> None:
    tokenizer = tokenizers()["trained here"]
    (near, lo), (far, aka) = encode_completions(tokenizer, "Norway is Os", ["lo", "aka"])
    assert tokenizer.decode(lo) == " Oslo"
    assert tokenizer.decode(near + lo, skip_special_tokens=True) == "Norway is Oslo"
    assert tokenizer.decode(far + aka, skip_special_tokens=True) == "Norway is Osaka"


def test_nothing_to_predict_is_refused_by_name() -> None:
    tokenizer = tokenizers()["unigram"]  # without a beginning-of-sequence token
    with pytest.raises(DataError, match="candidate 2 of q7 has no token"):
        require_answer(*encode_pair(tokenizer, "hello  ", ""), "candidate 2 of q7")
    with pytest.raises(DataError, match="prompt 'p' begins within the first token"):
        require_answer([], [7], "prompt 'p'")


def test_an_id_beyond_the_embeddings_is_refused_where_it_occurs() -> None:
    inner = Tokenizer(models.WordLevel({"a": 0, "b": 1, "<unk>": 2}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = _wrapped(inner, unk_token="<unk>")
    tokenizer.add_tokens([AddedToken("<unused>")])
    require_embedded(encode(["a b c"], tokenizer)[0].ids, 3, tokenizer, "row 1")
    with pytest.raises(ModelError, match="row 2 holds the token '<unused>' with the id 3"):
        require_embedded(
            encode(["a <unused>"], tokenizer, spelled=True)[0].ids, 3, tokenizer, "row 2"
        )
    require_embedded([10**6], None, tokenizer, "row 3")
