"""Text that a tokenizer does not know: a warning from 1 %, a refusal from 20 %."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pipeline.contract.errors import DataError
from pipeline.contract.run.events import EventReader, EventWriter, Warned
from pipeline.corpus.unknown import check_unknown, unknown_share


def words(**special: str) -> PreTrainedTokenizerFast:
    """Knows "a" and "b", and that nothing else is known."""
    tokenizer = Tokenizer(
        models.WordLevel({"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4}, "<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **special},
    )


def test_the_share_is_of_the_texts_own_tokens() -> None:
    assert unknown_share([[0, 3, 2, 4, 4, 1], [0, 2, 2, 2, 3, 1]], words()) == 4 / 8
    assert unknown_share([], words()) == 0.0


def test_a_token_that_also_begins_and_ends_texts_is_not_counted_there() -> None:
    one_for_all = words(bos_token="<unk>", eos_token="<unk>")
    assert unknown_share([[2, 3, 3, 2, 3, 2]], one_for_all) == 1 / 4


def test_a_tokenizer_that_knows_everything_has_no_such_token() -> None:
    tokenizer = words()
    tokenizer.unk_token = None
    assert unknown_share([[0, 3, 2, 1]], tokenizer) == 0.0


@pytest.mark.parametrize(("share", "told"), [(0.009, False), (0.01, True), (0.199, True)])
def test_a_share_that_is_seen_in_the_results_is_a_warning(
    tmp_path: Path, share: float, told: bool
) -> None:
    events = EventWriter(tmp_path / "events.jsonl", "prepare")
    check_unknown(share, events)
    found = [event for event in EventReader(tmp_path / "events.jsonl").read()]
    assert [isinstance(event, Warned) for event in found] == [True] * told


def test_a_text_that_is_a_fifth_unknown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_unknown(0.2, EventWriter(tmp_path / "events.jsonl", "prepare"))
    assert "20.0% of the corpus's tokens are unknown" in caught.value.message
    assert "tokenizer" in caught.value.hint
