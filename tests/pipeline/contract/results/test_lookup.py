"""What a screen looks up about examples, as the scores stage writes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pipeline.contract.errors import DamagedResultError
from pipeline.contract.results.lookup import Corpus
from pipeline.contract.results.lookup_writer import write_lookup
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt

TEXTS = ["Ärger im Haus", "", "im Haus, im Garten", "x\ud7ff \U0001f600"]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A lookup of four examples from two sources; the third is the second chunk of the first."""
    run = RunDir(tmp_path / "demo")
    rows = [
        {
            "example_id": f"doc-{n}",
            "document_id": "doc-0" if n == 2 else f"doc-{n}",
            "chunk": int(n == 2),
            "chunks": 1,
            "text": text,
            "n_tokens": 10 + n,
            "duplicate_group": 3 if n > 1 else -1,
            "source": "a.jsonl" if n < 3 else "b.jsonl",
            "row": n,
        }
        for n, text in enumerate(TEXTS)
    ]
    prompts = [
        Prompt(id="one", prompt="?", completion=" !", relevant=("doc-3", "doc-0", "nowhere")),
        Prompt(id="none", prompt="?", completion=" !"),
    ]
    first, second = pa.Table.from_pylist(rows[:1]), pa.Table.from_pylist(rows[1:])
    write_lookup(run, prompts, pa.concat_tables([first, second]))
    return run


def texts(tensors: dict[str, Any], name: str) -> list[str]:
    letters, at = tensors[name].tobytes(), tensors[f"{name}_at"].tolist()
    return [letters[a:b].decode() for a, b in pairwise(at)]


def test_texts_and_ids_come_back_letter_for_letter(run: RunDir) -> None:
    tensors = load_file(run.lookup)
    assert texts(tensors, "text") == TEXTS
    assert texts(tensors, "id") == ["doc-0", "doc-1", "doc-2", "doc-3"]


def test_every_word_leads_to_each_example_that_holds_it_once(run: RunDir) -> None:
    tensors = load_file(run.lookup)
    at = tensors["posting_at"].tolist()
    found = {
        word: tensors["posting"][at[n] : at[n + 1]].tolist()
        for n, word in enumerate(texts(tensors, "word"))
    }
    assert found["im"] == [0, 2]
    assert found["ärger"] == [0]
    assert found["garten"] == [2]
    assert set(found) == {"ärger", "im", "haus", "garten", "x"}


def test_chunks_share_a_document_and_sources_are_named(run: RunDir) -> None:
    tensors = load_file(run.lookup)
    assert tensors["document"][0] == tensors["document"][2] != tensors["document"][1]
    with safe_open(run.lookup, "np") as file:
        sources = json.loads(file.metadata()["sources"])
    assert [sources[n] for n in tensors["source"]] == ["a.jsonl"] * 3 + ["b.jsonl"]
    assert tensors["n_tokens"].tolist() == [10, 11, 12, 13]
    assert tensors["duplicate_group"].tolist() == [-1, -1, 3, 3]


def test_examples_that_state_an_answer_are_those_of_the_named_documents(run: RunDir) -> None:
    tensors = load_file(run.lookup)
    assert tensors["relevant_at"].tolist() == [0, 3, 3]
    assert sorted(tensors["relevant"].tolist()) == [0, 2, 3]


def test_a_corpus_without_words_can_be_written(tmp_path: Path) -> None:
    names = ("example_id", "document_id", "text", "source")
    table = pa.table({name: pa.array([""], pa.string()) for name in names} | {
        name: np.zeros(1, np.int32)
        for name in ("chunk", "chunks", "n_tokens", "duplicate_group", "row")
    })  # fmt: skip
    run = RunDir(tmp_path / "demo")
    write_lookup(run, [], table)
    assert len(load_file(run.lookup)["posting"]) == 0


def test_the_reader_finds_texts_documents_words_and_relevant_examples(run: RunDir) -> None:
    corpus = Corpus(run)
    assert [corpus.text(n) for n in range(len(corpus))] == TEXTS
    assert corpus.document(0).tolist() == [0, 2]
    assert corpus.duplicates(2).tolist() == [3]
    assert np.flatnonzero(corpus.holding("AUS")).tolist() == [0, 2]
    assert corpus.named("oc-3").tolist() == [3]
    assert sorted(corpus.relevant(0).tolist()) == [0, 2, 3]
    assert (corpus.example(3).source, corpus.example(3).row) == ("b.jsonl", 3)


def test_a_lookup_that_lacks_a_tensor_is_damaged(run: RunDir) -> None:
    tensors = load_file(run.lookup)
    del tensors["posting"]
    save_file(tensors, run.lookup)
    with pytest.raises(DamagedResultError, match="there is no tensor posting"):
        Corpus(run)


def test_a_lookup_that_names_no_sources_is_damaged(run: RunDir) -> None:
    save_file(load_file(run.lookup), run.lookup)
    with pytest.raises(DamagedResultError, match=r"scores/lookup\.safetensors is damaged"):
        Corpus(run)


def test_the_bytes_are_the_same_whichever_process_writes_them(tmp_path: Path) -> None:
    """Python orders a set of words otherwise in each process."""
    code = (
        "import sys, pyarrow as pa\n"
        "from pathlib import Path\n"
        "from pipeline.contract.results.lookup_writer import write_lookup\n"
        "from pipeline.contract.run.run_dir import RunDir\n"
        "rows = [{'example_id': f'doc-{n}', 'document_id': f'doc-{n}', 'chunk': 0, 'chunks': 1,\n"
        "  'text': ' '.join(f'word{n * k}' for k in range(20)), 'n_tokens': 9,\n"
        "  'duplicate_group': -1, 'source': 'a', 'row': n} for n in range(9)]\n"
        "write_lookup(RunDir(Path(sys.argv[1])), [], pa.Table.from_pylist(rows))\n"
    )
    written = set()
    for seed in ("0", "1", "2"):
        folder = tmp_path / seed
        command = [sys.executable, "-c", code, str(folder)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        written.add(RunDir(folder).lookup.read_bytes())
    assert len(written) == 1
