"""Long documents become chunks that are exact slices, of nearly equal length."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from pipeline.corpus.chunks import Chunk, split_document
from pipeline.corpus.labelling import encode
from pipeline.corpus.tokenizers import train_tokenizer

TEXT = (
    "Straße — 三 émigrés 😀 wrote: “The river rises in the hills.”\n\n\tIt falls  into the sea.  "
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([TEXT], 300)  # hardly more than bytes: tokens end inside characters


@pytest.fixture(scope="module")
def words_tokenizer() -> PreTrainedTokenizerBase:
    """No special tokens, and a normaliser that changes the text."""
    inner = Tokenizer(models.WordLevel(unk_token="?"))
    inner.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.train_from_iterator([TEXT], trainers.WordLevelTrainer(special_tokens=["?"]))
    return PreTrainedTokenizerFast(tokenizer_object=inner)  # type: ignore[no-untyped-call]


def chunks(text: str, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[Chunk]:
    (encoding,) = encode([text], tokenizer)
    return split_document(text, encoding, tokenizer, max_tokens)


@pytest.mark.parametrize("max_tokens", range(8, 40, 3))
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_chunks_are_slices_that_make_up_the_document(
    tokenizer: PreTrainedTokenizerBase, max_tokens: int, copies: int
) -> None:
    text = TEXT * copies
    (encoding,) = encode([text], tokenizer)
    pieces = chunks(text, tokenizer, max_tokens)
    assert "".join(piece.text for piece in pieces) == text
    inner = [token for piece in pieces for token in piece.tokens[1:]]
    assert inner == [*encoding.ids, tokenizer.eos_token_id]
    assert [piece.chunk for piece in pieces] == list(range(len(pieces)))


def test_no_length_makes_a_chunk_too_long_or_a_crumb(tokenizer: PreTrainedTokenizerBase) -> None:
    for length in range(1, 120):
        for max_tokens in (8, 9, 16, 33):
            pieces = chunks("三" * length, tokenizer, max_tokens)
            sizes = [len(piece.tokens) for piece in pieces]
            assert max(sizes) <= max_tokens
            assert max(sizes) - min(sizes) <= 1
            needed = sum(sizes) - len(sizes)  # without the first token of each chunk
            assert len(pieces) == -(-needed // (max_tokens - 1))


def test_every_chunk_begins_and_only_the_last_one_ends(tokenizer: PreTrainedTokenizerBase) -> None:
    pieces = chunks(TEXT, tokenizer, 16)
    assert len(pieces) > 3
    assert all(piece.tokens[0] == tokenizer.bos_token_id for piece in pieces)
    assert [tokenizer.eos_token_id in piece.tokens for piece in pieces] == [
        *[False] * (len(pieces) - 1),
        True,
    ]


def test_slices_are_of_the_text_and_not_of_its_normal_form(
    words_tokenizer: PreTrainedTokenizerBase,
) -> None:
    pieces = chunks(TEXT * 3, words_tokenizer, 8)
    assert "".join(piece.text for piece in pieces) == TEXT * 3
    assert [len(piece.tokens) for piece in pieces] == [len(piece.text.split()) for piece in pieces]
    assert max(len(piece.tokens) for piece in pieces) <= 8


def test_text_that_spells_a_special_token_stays_text(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "strike <s>this</s> out <unk>"
    (piece,) = chunks(text, tokenizer, 64)
    assert set(piece.tokens[1:-1]).isdisjoint(tokenizer.all_special_ids)
    assert tokenizer.decode(piece.tokens[1:-1]) == text


def test_what_leaves_nothing_to_predict_is_no_example(
    words_tokenizer: PreTrainedTokenizerBase, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert chunks("river", words_tokenizer, 8) == []
    assert len(chunks("a", tokenizer, 8)[0].tokens) == 3
