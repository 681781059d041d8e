"""Writing: what a model is asked to write never leaves its context."""

from __future__ import annotations

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.generation import generate_continuations


def test_nothing_is_written_beyond_the_models_context() -> None:
    tokenizer = train_tokenizer(["The river runs past the mill."], vocab_size=280)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=280, n_positions=24, n_embd=16, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).train(False)
    for length, written in ((20, 4), (24, 0), (6, 8)):
        (found,) = dict(
            generate_continuations(model, tokenizer, [[5] * length], max_new_tokens=8)
        ).values()
        assert found.tokens == written
        assert found.ended == "length"


def test_a_long_context_shortens_no_others_answer() -> None:
    tokenizer = train_tokenizer(["The river runs past the mill."], vocab_size=280)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=280, n_positions=24, n_embd=16, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).train(False)
    short, long, full = [5] * 6, [5] * 20, [5] * 24
    alone = {
        len(one): dict(generate_continuations(model, tokenizer, [one], 8))[0]
        for one in (short, long, full)
    }
    together = dict(generate_continuations(model, tokenizer, [full, short, long], 8))
    assert [together[n] for n in range(3)] == [alone[24], alone[6], alone[20]]
    assert [together[n].tokens for n in range(3)] == [0, 8, 4]
