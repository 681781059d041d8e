"""Tokenizers: trained the same every time, and clear words where one cannot be had."""

from __future__ import annotations

import itertools
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.contract.errors import HubUnreachableError, ModelError
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.tokenizers import (
    _cut_words,
    pretrained_tokenizer,
    train_tokenizer,
)
from pipeline.model import load_tokenizer

TEXTS = [f"The {word} river rises in the hills near {word}." for word in ("red", "blue", "old")]


def settings(source: str, **model: Any) -> Settings:
    given = {"data": {"source": "demo"}, "tokenizer": {"source": source}, "model": model}
    return Settings.model_validate(given)


def test_any_text_survives_encoding_and_decoding() -> None:
    tokenizer = train_tokenizer(TEXTS, 320)
    text = "  Ünseen 字 😀 \x07\n\n 'tis , spaced . "
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert tokenizer.decode(ids) == text
    assert tokenizer.unk_token_id not in ids


def test_a_text_of_one_endless_word_is_trained_on_in_parts() -> None:
    texts = [*TEXTS, "a" * 300_000, " " * 300_000, "QUJD" * 50_000]
    parts = list(_cut_words(texts))
    assert "".join(parts) == "".join(texts)
    # the time of a training grows with the square of its longest word
    assert max(map(len, parts)) <= 1000
    tokenizer = train_tokenizer(texts, 400)
    assert tokenizer.decode(tokenizer.encode("aaaa b", add_special_tokens=False)) == "aaaa b"


def test_a_training_can_be_stopped() -> None:
    stopped = threading.Event()

    def texts() -> Iterator[str]:
        """Endless, but for the test's end: what goes on in the thread must not outlive it."""
        os.kill(os.getpid(), signal.SIGINT)
        yield from itertools.takewhile(lambda _: not stopped.is_set(), itertools.repeat("river"))

    # as in a stage; whoever runs the tests in several processes has them ignore it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_tokenizer(texts(), 300)
    finally:
        signal.signal(signal.SIGINT, before)
        stopped.set()


@pytest.mark.parametrize(
    "content",
    [
        '{"version": "1.0", "model": {"type": "BPE", "future": 1}, "added_tokens": []}',
        '{"version": "1.0", "model": {"type": "Quantum"}}',
        '{"version": "1.0"',
    ],
)
def test_a_tokenizer_that_the_library_cannot_read_is_told_in_a_sentence(
    tmp_path: Path, content: str
) -> None:
    train_tokenizer(TEXTS, 300).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.source = .*") as told:
        pretrained_tokenizer(settings(str(tmp_path)))
    assert "\n" not in told.value.message


def test_training_is_deterministic_and_its_size_bounded(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train_tokenizer(iter(TEXTS * 50), 280).save_pretrained(tmp_path / name)
    first, second = (tmp_path / name / "tokenizer.json" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert len(load_tokenizer(tmp_path / "a")) == 280


def test_a_saved_tokenizer_comes_back_the_same(tmp_path: Path) -> None:
    made = train_tokenizer(TEXTS, 320)
    made.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.encode(TEXTS[0]) == made.encode(TEXTS[0])
    assert (again.bos_token_id, again.eos_token_id) == (0, 1)
    assert (again.bos_token, again.eos_token, again.unk_token) == ("<s>", "</s>", "<unk>")


def test_a_local_folder_serves_as_tokenizer(tmp_path: Path) -> None:
    train_tokenizer(TEXTS, 320).save_pretrained(tmp_path)
    assert pretrained_tokenizer(settings(str(tmp_path), init="scratch")).is_fast
    own = settings("model", init="pretrained", name=str(tmp_path))
    assert len(pretrained_tokenizer(own)) == len(load_tokenizer(tmp_path))


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    said = f"tokenizer.source: the folder {re.escape(str(tmp_path))} holds no tokenizer"
    with pytest.raises(ModelError, match=said):
        pretrained_tokenizer(settings(str(tmp_path), init="scratch"))
    with pytest.raises(ModelError, match=r"tokenizer\.source: there is no folder"):
        pretrained_tokenizer(settings(str(tmp_path / "nowhere"), init="scratch"))


def test_a_hub_out_of_reach_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachableError, match="someone/some-tokenizer"):
        pretrained_tokenizer(settings("someone/some-tokenizer", init="scratch"))
