"""The rehearsal with tiny models of many architectures, and with tokenizers that lack much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from pipeline.contract.errors import ModelError
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.pretrained.decoding import decode_plainly
from pipeline.rehearsal.rehearse import rehearse
from tests.pipeline.influence.architectures import DENSE, EXPERTS, model_of, rows_of
from tests.pipeline.influence.conftest import VOCABULARY

WORDS = {f"w{number}": number for number in range(VOCABULARY)}
ENDS = [
    {},
    {"eos_token": "w2"},
    {"bos_token": "w1", "eos_token": "w2"},
    {"bos_token": "w1", "eos_token": "w2", "pad_token": "w2"},
]
"""Special tokens of tokenizers that others made: many lack one for padding or for beginnings."""


def tokenizer(**special: str) -> PreTrainedTokenizerFast:
    """A word to every id of the tiny models."""
    words = Tokenizer(models.WordLevel(WORDS, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, **special)  # type: ignore[no-untyped-call]


def rehearsed(model: PreTrainedModel, known: PreTrainedTokenizerFast, folder: Path) -> None:
    decode_plainly(model, known)
    run, everything = RunDir(folder), {"modules": {"group": "all"}}
    plain = {"factors": {"strategies": ["identity"]}}  # EKFAC has tests of its own
    values = {"data": {"source": "demo"}, "run": {"device": "cpu"}, **everything, **plain}
    settings = Settings.model_validate(values)
    rehearse(settings, run, EventWriter(run.events, "train"), model, known, rows_of("examples"))


@pytest.mark.parametrize(("place", "name"), list(enumerate(DENSE | EXPERTS)))
def test_every_architecture_passes(place: int, name: str, tmp_path: Path) -> None:
    """In float32 as in a run: causal, rows apart, all modules equal to autograd, answers the same
    behind padding on the left, whatever special tokens the tokenizer has."""
    model: Any = model_of(name)  # whose float() has no types
    rehearsed(model.float(), tokenizer(**ENDS[place % len(ENDS)]), tmp_path)


@pytest.mark.parametrize("kind", ["mamba", "falcon_mamba"])
def test_a_state_space_model_is_refused_by_the_module_that_it_goes_around(
    kind: str, tmp_path: Path
) -> None:
    """Its projection of time steps is used as a matrix, not called."""
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **sizes)
    model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    with pytest.raises(ModelError, match=r"layers\.0\.mixer\.dt_proj is called never"):
        rehearsed(model, tokenizer(), tmp_path)
