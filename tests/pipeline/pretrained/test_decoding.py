"""What a model's folder says of decoding: its end tokens count, nothing else does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pipeline.contract.settings.schema import Settings
from pipeline.generation import Continuation, generate_continuations
from pipeline.model import build_model, load_model, save_model
from pipeline.pretrained.decoding import decode_plainly, end_tokens
from tests.pipeline.corpus.chat_templates import FAMILIES, chat_tokenizer
from tests.small_models import save_folder, small_llama, small_tokenizer

CONTEXT = [0, 60, 70, 80]

OTHERS: list[dict[str, Any]] = [
    {"repetition_penalty": 5.0},
    {"no_repeat_ngram_size": 1},
    {"num_beams": 4},
    {"forced_eos_token_id": 7},
    {"suppress_tokens": [*range(0, 300, 2)]},
    {"bad_words_ids": [[token] for token in range(3, 300, 3)]},
    {"do_sample": True, "temperature": 9.0, "top_k": 300},
    {"min_new_tokens": 8},
    {"sequence_bias": [[[5], 100.0]]},
    {"begin_suppress_tokens": [*range(3, 200)]},
    {"stop_strings": ["e", "a", "o"]},
    {"max_length": 5},
    {"encoder_repetition_penalty": 3.0},
    {"guidance_scale": 3.0},
]


def write_decoding(folder: Path, **values: Any) -> None:
    (folder / "generation_config.json").write_text(json.dumps(values))


def loaded(folder: Path) -> PreTrainedModel:
    """As the train stage takes a folder, and as every later stage loads what that saved."""
    settings = Settings.model_validate(
        {"data": {"source": "demo", "max_tokens": 64}, "model": {"name": str(folder)}}
    )
    tokenizer = small_tokenizer()
    save_model(build_model(settings, tokenizer), tokenizer, folder / "again")
    return load_model(folder / "again", torch.device("cpu"))


def written(model: PreTrainedModel, count: int = 10) -> Continuation:
    return dict(generate_continuations(model, small_tokenizer(), [CONTEXT], count))[0]


@torch.no_grad()
def likeliest(model: PreTrainedModel, count: int) -> list[int]:
    """The definition of greedy decoding, one token after the other and without a cache."""
    ids = list(CONTEXT)
    for _ in range(count):
        ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(CONTEXT) :]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: next(iter(other)))
def test_greedy_is_argmax_whatever_the_folder_says(other: dict[str, Any], tmp_path: Path) -> None:
    folder = save_folder(small_llama(), tmp_path)
    write_decoding(folder, eos_token_id=1, **other)
    model = loaded(folder)
    assert list(written(model).ids) == likeliest(model, 10)


def with_ends(folder: Path, ends: list[int] | int | None, tokens: list[str]) -> PreTrainedModel:
    """A model whose folder names `ends`, and whose tokenizer knows `tokens` as added ones."""
    save_folder(small_llama(vocab_size=300 + len(tokens)), folder)
    tokenizer = small_tokenizer()
    tokenizer.add_tokens(tokens)
    tokenizer.save_pretrained(folder)
    write_decoding(folder, eos_token_id=ends)
    settings = Settings.model_validate(
        {"data": {"source": "demo", "max_tokens": 64}, "model": {"name": str(folder)}}
    )
    model = build_model(settings, tokenizer)
    save_model(model, tokenizer, folder / "again")
    return load_model(folder / "again", torch.device("cpu"))


def test_every_end_token_of_a_list_ends_an_answer(tmp_path: Path) -> None:
    model = with_ends(tmp_path, [301, 1], ["<turn>", "<end_of_turn>"])
    tokenizer = small_tokenizer()
    assert end_tokens(model, tokenizer) == [1, 301]
    steps = likeliest(model, 6)
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    with torch.no_grad():  # what would be written third is now the end of the turn
        head.weight[[301, steps[2]]] = head.weight[[steps[2], 301]]
    found = dict(generate_continuations(model, tokenizer, [CONTEXT], 6))[0]
    assert found.ended == "end"
    assert list(found.ids) == steps[: steps.index(steps[2])]


def test_ids_of_ordinary_words_are_no_ends(tmp_path: Path) -> None:
    model = with_ends(tmp_path, [2, 57, 300], ["<turn>"])
    assert end_tokens(model, small_tokenizer()) == [1, 300], "2 is <unk>, 57 a word"


def test_a_stop_text_keeps_the_tokens_that_hold_what_is_before_it(tmp_path: Path) -> None:
    model = loaded(save_folder(small_llama(initializer_range=0.5), tmp_path))
    tokenizer, whole = small_tokenizer(), written(model, 12)
    stop = next(two for n in range(4, 20) if whole.text.index(two := whole.text[n : n + 2]) >= 4)
    found = dict(generate_continuations(model, tokenizer, [CONTEXT], 12, [stop]))[0]
    assert found.text == whole.text[: whole.text.index(stop)] != ""
    assert found.ids == whole.ids[: len(found.ids)]
    texts = [
        tokenizer.decode([*CONTEXT, *found.ids[:count]])[len(tokenizer.decode(CONTEXT)) :]
        for count in (len(found.ids) - 1, len(found.ids))
    ]
    assert len(texts[0]) < len(found.text) <= len(texts[1])


def test_an_added_token_of_the_tokenizer_alone_is_no_end(tmp_path: Path) -> None:
    assert end_tokens(with_ends(tmp_path, None, ["<turn>"]), small_tokenizer()) == [1]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_ends_where_the_chat_template_ends_a_turn(family: str) -> None:
    tokenizer = chat_tokenizer(FAMILIES[family])
    config = LlamaConfig(vocab_size=500, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                         num_attention_heads=1)  # fmt: skip
    model = LlamaForCausalLM(config)
    decode_plainly(model, tokenizer)
    ends = {str(tokenizer.decode([token])) for token in end_tokens(model, tokenizer)}
    of_turn = {"chatml": "<|im_end|>", "qwen3": "<|im_end|>", "llama-3": "<|eot_id|>",
               "gemma": "<end_of_turn>", "mistral": "</s>", "phi-3": "<|end|>"}  # fmt: skip
    assert ends == {"</s>", of_turn[family]}
