"""Which spans of a text are copies, and when the index is made anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.examples import read_example_ids, read_texts, read_tokens
from pipeline.contract.results.spans import TextTrace
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.words import pieces, spans
from pipeline.model import load_tokenizer
from pipeline.verbatim.indexing import open_span_index
from pipeline.verbatim.tracing import trace_text
from tests.pipeline.verbatim.index_of import index_of
from tests.small_runs import prepare_run

LETTERS = "ßẞsSİıiIΣσςAa\u0301\u0307éﬁf "
"""Those that fold to several, to each other, or only with what follows them."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return prepare_run(tmp_path_factory.mktemp("runs") / "mine")


@pytest.fixture(scope="module")
def tokenizer(run: RunDir) -> PreTrainedTokenizerBase:
    return load_tokenizer(run.tokenizer)


def traced(run: RunDir, text: str) -> TextTrace:
    return trace_text(text, load_tokenizer(run.tokenizer), [open_span_index(run, run.examples)])


def tried(texts: list[str], query: str) -> list[tuple[str, int, int, int]]:
    """Each longest run of words that stands in the folded texts: its words, start, end, places."""
    words, found, reached = spans(query), [], 0
    documents = [text.casefold() for text in texts]
    for start, _ in words:
        for _, end in reversed(words):
            if end <= max(start, reached):
                break
            wanted = query[start:end].casefold()
            count = sum(one.startswith(wanted, at) for one in documents for at in range(len(one)))
            if count:
                found.append((query[start:end], start, end, count))
                reached = end
                break
    return found


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(LETTERS, max_size=12), min_size=1, max_size=4),
    query=st.text(LETTERS, max_size=16),
)
def test_folded_spans_are_those_that_trying_everything_finds(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], query: str
) -> None:
    found = trace_text(query, tokenizer, [index_of(texts, tokenizer)]).folded
    assert [(one.text, one.start, one.end, one.count) for one in found] == tried(texts, query)
    for span in found:
        for place in span.places:
            folded = texts[int(place.example_id)].casefold().encode()
            assert folded[place.position :].startswith(span.text.casefold().encode())


@pytest.mark.parametrize(
    ("planted", "asked"),
    [
        ("Die Straße am Fluß ist heute gesperrt", "DIE STRASSE AM FLUSS IST HEUTE GESPERRT"),
        ("ο δρόμος της πόλης είναι μακρύς", "Ο ΔΡΌΜΟΣ ΤΗΣ ΠΌΛΗΣ ΕΊΝΑΙ ΜΑΚΡΎΣ"),
        ("İstanbul is a city on two shores", "i\u0307STANBUL IS A CITY ON TWO SHORES"),
    ],
)
def test_a_copy_in_other_case_is_found_whole(
    tokenizer: PreTrainedTokenizerBase, planted: str, asked: str
) -> None:
    [span] = trace_text(asked, tokenizer, [index_of([planted], tokenizer)]).folded
    assert (span.text, span.copied, span.count) == (asked, True, 1)


def test_places_are_those_of_the_letters_however_they_are_cut_into_tokens(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """A word that begins a text is another token than the same word behind a blank."""
    texts = ["The mason brings bread.", "So the mason brings bread. It is late.", "Nobody came."]
    [span] = trace_text(texts[0], tokenizer, [index_of(texts, tokenizer)]).spans
    assert span.text.strip() == texts[0]
    assert (span.count, span.by_letters) == (2, True)
    assert [place.example_id for place in span.places] == ["0", "1"]


def test_an_accent_of_its_own_is_another_spelling_than_a_letter_with_it(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    index = index_of(["caf\u00e9"], tokenizer)
    assert not trace_text("cafe\u0301", tokenizer, [index]).folded


def test_a_text_longer_than_the_models_context_is_traced_to_its_end(run: RunDir) -> None:
    texts = read_texts(run)
    longest = max(map(len, read_tokens(run)))
    found = traced(run, " zq ".join(texts))
    assert found.tokens > 10 * longest
    last = [span for span in found.folded if span.end == len(" zq ".join(texts))]
    assert read_example_ids(run)[-1] in {place.example_id for one in last for place in one.places}


def test_planted_copies_are_told_from_paraphrases(run: RunDir) -> None:
    """A paraphrase has the copy's words, three at a time in another order."""
    for planted in read_texts(run)[:12]:
        copy = traced(run, planted)
        assert copy.covered == copy.tokens
        words = pieces(planted)
        thirds = [" ".join(words[at : at + 3]) for at in range(0, len(words), 3)]
        paraphrase = traced(run, " instead ".join(reversed(thirds)))
        assert paraphrase.covered < paraphrase.tokens
        assert not any(span.copied for span in paraphrase.folded)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nothing", ""),
        ("gone", "there was no span index"),
        ("corpus", "another corpus"),
        ("cut", "tokens_suffixes.npy of the span index was damaged"),
        ("changed", "counts.npy of the span index was damaged"),
        ("record", "there was no span index"),
    ],
)
def test_an_index_that_does_not_fit_is_made_anew_and_says_why(
    run: RunDir, tmp_path: Path, fault: str, said: str
) -> None:
    mine = RunDir(shutil.copytree(run.root, tmp_path / "mine"))
    open_span_index(mine, mine.examples)
    folder = mine.verbatim(mine.examples)
    record = json.loads((folder / "index.json").read_text())
    if fault == "gone":
        shutil.rmtree(folder)
    elif fault == "corpus":
        record["indexed"]["whole"], record["indexed_mtime"] = "0", 0
        (folder / "index.json").write_text(json.dumps(record))
    elif fault == "cut":
        (folder / "tokens_suffixes.npy").write_bytes(b"x" * 300)
    elif fault == "changed":
        size = (folder / "counts.npy").stat().st_size
        (folder / "counts.npy").write_bytes(b"x" * size)
    elif fault == "record":
        (folder / "index.json").write_text("[")
    again = open_span_index(mine, mine.examples)
    assert said in again.built
    assert bool(said) == bool(again.built)
    assert open_span_index(mine, mine.examples).built == ""
    text = read_texts(mine)[0]
    assert trace_text(text, load_tokenizer(mine.tokenizer), [again]).covered
