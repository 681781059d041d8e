"""Stands in for what Kronfluence's tests take from the hub, where there is none.

Tiny models with random weights, a tokenizer of words and made-up text, in folders that transformers
and datasets take for the hub's entries of the same name when they are in the working folder.
"""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, processors
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

_WORDS = [f"word{number}" for number in range(200)]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
_ROWS = 1000


def write_stand_ins(folder: Path) -> None:
    """Writes hf-internal-testing/tiny-random-gpt2, tiny-bert, wikitext and glue."""
    torch.manual_seed(0)
    pieces = len(_SPECIAL) + len(_WORDS)
    gpt = GPT2Config(
        vocab_size=pieces, n_embd=32, n_layer=5, n_head=4, bos_token_id=2, eos_token_id=3
    )
    bert = BertConfig(
        vocab_size=pieces,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    models = folder / "hf-internal-testing"
    _write_model(models / "tiny-random-gpt2", GPT2LMHeadModel(gpt))
    _write_model(models / "tiny-bert", BertForSequenceClassification(bert))
    draw = random.Random(0)
    lines = [_sentence(draw) for _ in range(_ROWS)]
    _write_dataset(folder / "wikitext", "wikitext-2-raw-v1", {"text": lines})
    pairs = {"sentence1": lines, "sentence2": lines[::-1]}
    labels = [draw.randrange(2) for _ in lines]
    _write_dataset(folder / "glue", "rte", {**pairs, "label": labels}, _RTE)


def _sentence(draw: random.Random) -> str:
    return " ".join(draw.choices(_WORDS, k=draw.randint(5, 40)))


def _write_model(folder: Path, model: PreTrainedModel) -> None:
    model.save_pretrained(folder)
    vocabulary = {piece: number for number, piece in enumerate(_SPECIAL + _WORDS)}
    words = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    tokenizer.save_pretrained(folder)


_RTE = """\
dataset_info:
- config_name: rte
  features:
  - {name: sentence1, dtype: string}
  - {name: sentence2, dtype: string}
  - {name: label, dtype: {class_label: {names: {'0': entailment, '1': not_entailment}}}}
"""


def _write_dataset(
    folder: Path, config: str, columns: dict[str, list[str] | list[int]], info: str = ""
) -> None:
    """One split, "train", described as the hub's datasets describe themselves."""
    folder.mkdir()
    pq.write_table(pa.table(columns), folder / "train.parquet")
    card = f"configs:\n- config_name: {config}\n  data_files: train.parquet\n"
    (folder / "README.md").write_text(f"---\n{card}{info}---\n")
