"""Completions and conversations as training examples: what carries loss, and where they are cut."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.examples import Turn
from pipeline.corpus.chat import RefusedConversationError, label, renderings, set_template
from pipeline.corpus.chunks import Chunk
from pipeline.corpus.forms import Completion, Conversation
from pipeline.corpus.pieces import completion_pieces, conversation_pieces
from pipeline.corpus.tokenizers import train_tokenizer
from tests.pipeline.corpus.chat_templates import CHATML, QWEN3, chat_tokenizer

TEXTS = ["The capital of Norway is Oslo and all the world knows Oslo."] * 8


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(TEXTS, 400)


def carrying(chunk: Chunk, tokenizer: PreTrainedTokenizerBase) -> str:
    assert chunk.labelled is not None
    assert len(chunk.labelled) == len(chunk.tokens)
    pairs = zip(chunk.tokens, chunk.labelled, strict=True)
    return str(tokenizer.decode([token for token, on in pairs if on]))


@pytest.mark.parametrize(
    ("prompt", "completion", "loss"),
    [
        ("The capital of Norway is", " Oslo.", " Oslo.</s>"),
        ("The capital of Norway is Os", "lo.", " Oslo.</s>"),
        ("The capital of Norway is ", "Oslo.", " Oslo.</s>"),
        ("", "Oslo", "Oslo</s>"),
        ("knows\n", "<s> Oslo </s>", "<s> Oslo </s></s>"),  # what spells a special token is text
    ],
)
def test_the_completion_and_the_end_carry_loss(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, loss: str
) -> None:
    [chunk] = completion_pieces(Completion(prompt, completion), tokenizer, 64).chunks
    assert carrying(chunk, tokenizer) == loss
    assert chunk.tokens.count(tokenizer.bos_token_id) == 1
    assert chunk.tokens.count(tokenizer.eos_token_id) == 1
    assert chunk.text == prompt + completion


def test_a_long_completion_is_cut_and_parts_without_loss_are_left_out(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    prompt, completion = TEXTS[0] * 4, f" {TEXTS[0]}" * 2
    whole = completion_pieces(Completion(prompt, completion), tokenizer, 4000).chunks
    cut = completion_pieces(Completion(prompt, completion), tokenizer, 16).chunks
    assert "".join(carrying(one, tokenizer) for one in cut) == carrying(whole[0], tokenizer)
    assert all(len(one.tokens) <= 16 and any(one.labelled or ()) for one in cut)
    assert [one.chunk for one in cut] == list(range(len(cut)))
    assert "".join(one.text for one in cut).endswith(completion)
    labelled = [turn.text for one in cut for turn in one.turns or () if turn.labelled]
    assert "".join(labelled) == completion


def test_a_completion_that_cannot_be_predicted_is_refused() -> None:
    tokenizer = chat_tokenizer(CHATML)
    tokenizer.bos_token = None
    with pytest.raises(RefusedConversationError, match="no token of its completion"):
        completion_pieces(Completion("", "H"), _without_end(tokenizer), 64)


def _without_end(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    tokenizer.eos_token = None
    return tokenizer


def conversation(exchanges: int, words: int = 8) -> Conversation:
    messages = [{"role": "system", "content": "You are a map."}]
    for number in range(exchanges):
        messages += [
            {"role": "user", "content": f"Question {number}: " + "far " * words},
            {"role": "assistant", "content": f"Answer {number}."},
        ]
    return Conversation(messages, [])


def test_a_long_conversation_is_cut_between_whole_exchanges() -> None:
    tokenizer = chat_tokenizer(CHATML)
    record = conversation(7)
    [rendering] = renderings(tokenizer, record.messages)
    whole = label(tokenizer, rendering)
    limit = len(whole.tokens) * 2 // 5
    found = conversation_pieces(record, tokenizer, limit)
    assert len(found.chunks) >= 3
    assert found.answers == 7
    assert found.dropped == 0
    for chunk in found.chunks:
        assert len(chunk.tokens) <= limit
        assert chunk.turns is not None
        assert chunk.turns[0] == Turn("system", "You are a map.", False)
        assert [turn.role for turn in chunk.turns[1:]] == ["user", "assistant"] * (
            (len(chunk.turns) - 1) // 2
        )
    said = [turn.text for one in found.chunks for turn in one.turns or () if turn.labelled]
    assert said == [f"Answer {number}." for number in range(7)]


def test_a_turn_that_fits_nowhere_is_dropped_and_counted() -> None:
    tokenizer = chat_tokenizer(CHATML)
    record = conversation(4)
    record.messages[3]["content"] = "far " * 400
    found = conversation_pieces(record, tokenizer, 120)
    said = [turn.text for one in found.chunks for turn in one.turns or () if turn.labelled]
    assert said == ["Answer 0.", "Answer 2.", "Answer 3."]
    assert (found.answers, found.dropped) == (3, 1)
    with pytest.raises(RefusedConversationError, match=r"longer than data\.max_tokens"):
        conversation_pieces(conversation(1, words=400), tokenizer, 120)


def test_answers_under_a_rewriting_template_are_examples_of_their_own() -> None:
    tokenizer = chat_tokenizer(QWEN3)
    found = conversation_pieces(conversation(3), tokenizer, 4000)
    assert found.rewritten
    assert (len(found.chunks), found.answers) == (3, 3)
    for number, chunk in enumerate(found.chunks):
        [carries] = [turn for turn in chunk.turns or () if turn.labelled]
        assert carries.text == f"Answer {number}."
        assert carrying(chunk, tokenizer) == f"<think>\n\n</think>\n\nAnswer {number}.<|im_end|>"


def test_a_base_models_tokenizer_takes_a_plain_template(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    plain = train_tokenizer(TEXTS, 400)
    set_template(plain, "zephyr")
    [chunk] = conversation_pieces(conversation(2), plain, 4000).chunks
    assert carrying(chunk, plain) == "Answer 0.</s>Answer 1.</s>"
