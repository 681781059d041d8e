"""What an answer has in common with the training data, and which word that makes."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.evaluation import CopiedWords
from pipeline.contract.run.run_dir import RunDir
from pipeline.model import load_tokenizer
from pipeline.verbatim.answers import longest_overlap
from tests.pipeline.verbatim.index_of import index_of
from tests.small_runs import prepare_run

CORPUS = ["the river runs past the old mill", "a baker sells bread", "past the old barn and on"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return prepare_run(tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture(scope="module")
def tokenizer(run: RunDir) -> PreTrainedTokenizerBase:
    return load_tokenizer(run.tokenizer)


@pytest.mark.parametrize(
    ("answer", "words", "of", "run_of_words", "document"),
    [
        ("it went past the old mill today", 4, 7, "past the old mill", "0"),
        ("the baker sells", 2, 3, "baker sells", "1"),
        ("bread past the", 2, 3, "past the", "0"),  # nothing runs on into the next document
        ("xyzzy", 0, 1, "", None),
        ("", 0, 0, "", None),
        (CORPUS[2], 6, 6, CORPUS[2], "2"),
        ("PAST The Old Barn", 4, 4, "PAST The Old Barn", "2"),
        ("ast the old mil", 2, 4, "the old", "0"),  # parts of words are not words
        ("ill", 0, 1, "", None),
    ],
)
def test_the_longest_run_of_words_is_found_with_an_example_that_holds_it(
    tokenizer: PreTrainedTokenizerBase,
    answer: str,
    words: int,
    of: int,
    run_of_words: str,
    document: str | None,
) -> None:
    found = longest_overlap(answer, index_of(CORPUS, tokenizer))
    assert (found.words, found.of, found.text) == (words, of, run_of_words)
    if words:
        assert found.example_id is not None
        text = CORPUS[int(found.example_id)]
        assert run_of_words.casefold() in text
    assert (found.example_id is None) == (document is None)


def test_without_a_corpus_nothing_is_shared(tokenizer: PreTrainedTokenizerBase) -> None:
    assert longest_overlap("the", index_of([], tokenizer)) == CopiedWords(0, 1, "", None)
