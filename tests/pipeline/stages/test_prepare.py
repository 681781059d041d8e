"""The prepare stage as a process of its own, on small real files."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from transformers import AutoConfig, LlamaConfig

from pipeline.contract.errors import DataError, ModelError, SettingsError
from pipeline.contract.results.examples import (
    CorpusSummary,
    ExampleRow,
    FileAccount,
    example_schema,
    read_corpus_summary,
    read_document_ids,
    read_examples,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventReader, EventWriter, Progress, Warned
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.corpus import demo
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.model import load_tokenizer
from pipeline.stages import prepare

WORDS = ["river", "hill", "sea", "miller", "gate", "fog", "bridge", "winter", "apples", "bell"]
PROMPTS = [Prompt(id="p", prompt="The river rises", completion=" in the hills.")]

Prepare = Callable[..., RunDir]


def prose(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words)) + "."


def corpus(folder: Path, texts: list[Any]) -> str:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"text": text, "id": f"d{number}"}) for number, text in enumerate(texts)]
    (folder / "a.jsonl").write_text("\n".join(lines))
    return str(folder)


def settings(data: dict[str, Any], **sections: Any) -> Settings:
    given: dict[str, Any] = {
        "data": {"source": "local", **data},
        "tokenizer": {"source": "train", "vocab_size": 400},
        "model": {"init": "scratch", "preset": "nano"},
        **sections,
    }
    return Settings.model_validate(given)


@pytest.fixture
def run_stage(tmp_path: Path) -> Prepare:
    def run(asked: Settings, prompts: list[Prompt] = PROMPTS, name: str = "run") -> RunDir:
        folder = RunDir(tmp_path / name)
        folder.root.mkdir(exist_ok=True)
        save_prompts(folder.prompts, prompts)
        freshness.begin("prepare", asked, folder)
        prepare.run(asked, folder, EventWriter(folder.events, "prepare"))
        return folder

    return run


def rows(run: RunDir, *paths: Path) -> list[ExampleRow]:
    files = paths or (run.examples, run.validation)
    return [ExampleRow(**row) for path in files for row in read_examples(run, path).to_pylist()]


def warnings(run: RunDir) -> list[str]:
    events = EventReader(run.events).read()
    return [event.message for event in events if isinstance(event, Warned)]


def test_every_document_is_there_whole_in_training_or_validation(
    tmp_path: Path, run_stage: Prepare
) -> None:
    texts = [prose(number, random.Random(number).randint(1, 200)) for number in range(60)]
    data = {"path": corpus(tmp_path / "data", texts), "id_column": "id", "max_tokens": 32}
    run = run_stage(settings({**data, "validation_fraction": 0.1}))
    found: dict[str, str] = {}
    for row in rows(run):
        found[row.document_id] = found.get(row.document_id, "") + row.text
        assert row.n_tokens == len(row.tokens) <= 32
        assert row.example_id == row.document_id + (f"#{row.chunk}" if row.chunks > 1 else "")
        assert texts[row.row].find(row.text) >= 0
    assert found == {f"d{number}": text for number, text in enumerate(texts)}
    assert pq.read_schema(run.examples) == pq.read_schema(run.validation) == example_schema()


def test_the_summary_counts_what_was_read_and_what_was_left_out(
    tmp_path: Path, run_stage: Prepare
) -> None:
    texts = [prose(1, 300), prose(2, 9), "", "\x00\n", 17, prose(2, 9), prose(3, 9)]
    run = run_stage(settings({"path": corpus(tmp_path / "data", texts), "max_tokens": 64}))
    tokenizer, examples = load_tokenizer(run.tokenizer), rows(run)
    file = tmp_path / "data" / "a.jsonl"
    size, lost = file.stat().st_size, len(file.read_bytes().splitlines(keepends=True)[4])
    assert read_corpus_summary(run) == CorpusSummary(
        source=str(tmp_path / "data"),
        documents_read=7,
        empty=2,
        unreadable=1,
        documents=4,
        chunked_documents=1,
        examples=len(examples),
        validation_examples=0,
        tokens=sum(row.n_tokens for row in examples),
        duplicate_groups=1,
        duplicates=2,
        vocab_size=len(tokenizer),
        bytes_read=size,
        lines_read=7,
        read_share=1 - lost / size,
        files=(FileAccount(str(file), size, 7, 4, 1 - lost / size),),
    )
    assert [text.split(" ")[0] for text in warnings(run)] == ["skipped", "1", "2", "only", "too"]


def test_ids_and_split_do_not_depend_on_how_the_files_are_cut(
    tmp_path: Path, run_stage: Prepare
) -> None:
    texts = [prose(number, 20) for number in range(80)]
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "texts" / f"{99 - number}.txt").write_text(text)
    one = run_stage(settings({"path": corpus(tmp_path / "data", texts)}), name="one")
    many = run_stage(settings({"path": str(tmp_path / "texts")}), name="many")
    for path in ("examples", "validation"):
        first, second = (
            {row.text: row.example_id for row in rows(run, getattr(run, path))}
            for run in (one, many)
        )
        assert first == second


def test_no_near_duplicate_of_a_training_document_is_held_out(
    tmp_path: Path, run_stage: Prepare
) -> None:
    texts = [prose(number // 2, 60) + " again" * (number % 2) for number in range(200)]
    data = {"path": corpus(tmp_path / "data", texts), "validation_fraction": 0.2}
    run = run_stage(settings(data))
    trained = {row.duplicate_group for row in rows(run, run.examples)}
    held_out = {row.duplicate_group for row in rows(run, run.validation)}
    assert len(trained) == 80
    assert len(held_out) == 20
    assert trained.isdisjoint(held_out)


def test_the_demo_holds_out_nothing_that_it_asks_about(run_stage: Prepare) -> None:
    run = run_stage(settings({"source": "demo", "validation_fraction": 0.05}), prompts=[])
    prompts = load_prompts(run.prepared_prompts)
    trained = set(read_document_ids(run))
    held_out = read_document_ids(run, run.validation)
    assert prompts
    assert all(trained.issuperset(prompt.relevant) for prompt in prompts)
    assert len(held_out) > 20
    assert all(demo.is_filler(name) for name in held_out)


def test_the_same_settings_write_the_same_bytes(tmp_path: Path, run_stage: Prepare) -> None:
    asked = settings({"path": corpus(tmp_path / "data", [prose(n, 50) for n in range(40)])})
    first, second = (run_stage(asked, name=name) for name in ("first", "second"))
    for name in ("examples.parquet", "validation.parquet", "tokenizer/tokenizer.json"):
        contents = [(run.stage("prepare") / name).read_bytes() for run in (first, second)]
        assert contents[0] == contents[1]


def test_prompts_are_handed_on_and_unknown_relevant_documents_named(
    tmp_path: Path, run_stage: Prepare
) -> None:
    prompts = [
        Prompt(id="p", prompt="The river", completion=" rises", relevant=("d0", "d7", "d9")),
        Prompt(id="q", prompt="The sea", completion=" falls", relevant=("d1",)),
    ]
    data = {"path": corpus(tmp_path / "data", [prose(1, 20), prose(2, 20)]), "id_column": "id"}
    run = run_stage(settings({**data, "validation_fraction": 0.0}), prompts)
    assert load_prompts(run.prepared_prompts) == prompts
    assert warnings(run) == ["prompt 'p': relevant documents that the corpus lacks: d7, d9"]


def written(run: RunDir) -> dict[str, int]:
    files = [run.examples, run.validation, *run.tokenizer.iterdir(), run.summary("prepare")]
    return {file.name: file.stat().st_mtime_ns for file in files}


def test_new_prompts_leave_the_corpus_as_it_was_read(tmp_path: Path, run_stage: Prepare) -> None:
    folder = tmp_path / "data"
    asked = settings({"path": corpus(folder, [prose(1, 20), prose(2, 20)]), "id_column": "id"})
    before = written(run_stage(asked))
    new = [Prompt(id="q", prompt="The sea", completion=" falls.", relevant=("d1", "d7"))]
    run = run_stage(asked, new)
    assert written(run) == before
    assert load_prompts(run.prepared_prompts) == new
    assert warnings(run)[-1] == "prompt 'q': relevant documents that the corpus lacks: d7"
    shutil.rmtree(folder)  # as where the run was copied to another machine
    assert written(run_stage(asked, PROMPTS)) == before
    with pytest.raises(DataError, match="more than the model's context"):
        run_stage(asked, [Prompt(id="long", prompt=prose(1, 3000), completion=" x")])


@pytest.mark.parametrize("change", ["a file", "the settings", "asked for"])
def test_a_corpus_that_may_have_changed_is_read_again(
    change: str, tmp_path: Path, run_stage: Prepare
) -> None:
    data: dict[str, Any] = {"path": corpus(tmp_path / "data", [prose(1, 20), prose(2, 20)])}
    run = run_stage(settings(data))
    before = written(run)
    match change:
        case "a file":
            corpus(tmp_path / "data", [prose(1, 20), prose(2, 20), prose(3, 20)])
        case "the settings":
            data["max_tokens"] = 32
        case _:
            freshness.forget("prepare", run)
    after = written(run_stage(settings(data), [Prompt(id="q", prompt="The", completion=" sea")]))
    assert all(after[name] > before[name] for name in before)


def test_a_prompt_longer_than_the_models_context_is_refused(
    tmp_path: Path, run_stage: Prepare
) -> None:
    long = [Prompt(id="long", prompt=prose(0, 900), completion=" end")]
    asked = settings({"path": corpus(tmp_path / "data", [prose(1, 20)])})
    with pytest.raises(DataError, match=r"prompt 'long' .* more than the model's context, 512"):
        run_stage(asked, long)


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(
    tmp_path: Path, run_stage: Prepare
) -> None:
    asked = settings({"path": corpus(tmp_path / "data", [prose(1, 20)])})
    traced = asked.prompts.model_copy(update={"use_generated": True})
    asked = asked.model_copy(update={"prompts": traced})
    run_stage(asked, [Prompt(id="fits", prompt="~" * 510)])  # 511 tokens with the first, 1 is left
    with pytest.raises(DataError, match=r"'full' with a single token of an answer is 513 tokens"):
        run_stage(asked, [Prompt(id="full", prompt="~" * 511)])


def test_prompts_are_checked_before_any_document_is_read(
    tmp_path: Path, run_stage: Prepare
) -> None:
    asked = settings({"path": str(tmp_path / "no such corpus")})
    with pytest.raises(SettingsError, match="empty completion"):
        run_stage(asked, [Prompt(id="p", prompt="The river", completion=" ")])


def test_chunks_longer_than_the_models_context_are_refused(
    tmp_path: Path, run_stage: Prepare
) -> None:
    data = {"path": corpus(tmp_path / "data", [prose(1, 20)]), "max_tokens": 513}
    with pytest.raises(ModelError, match=r"513 is more than the model's context, 512"):
        run_stage(settings(data))


def test_a_prompt_beyond_the_pretrained_models_embeddings_is_refused_before_reading(
    tmp_path: Path, run_stage: Prepare
) -> None:
    LlamaConfig(vocab_size=280, max_position_embeddings=512).save_pretrained(tmp_path / "model")
    train_tokenizer([prose(1, 99)], 300).save_pretrained(tmp_path / "tokenizer")
    asked = settings(
        {"path": str(tmp_path / "no such corpus")},
        tokenizer={"source": str(tmp_path / "tokenizer")},
        model={"init": "pretrained", "name": str(tmp_path / "model")},
    )
    with pytest.raises(ModelError, match=r"prompt 'p' holds the token .* the model has only 280"):
        run_stage(asked)


def test_a_module_or_layer_that_the_model_lacks_is_refused_before_reading(
    tmp_path: Path, run_stage: Prepare
) -> None:
    LlamaConfig(
        vocab_size=400, hidden_size=8, intermediate_size=8, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=512,
    ).save_pretrained(tmp_path / "model")  # fmt: skip
    train_tokenizer([prose(1, 99)], 300).save_pretrained(tmp_path / "tokenizer")
    for modules, message in (
        ({"layers": "0,7"}, "no layer 7"),
        ({"names": ["model.layers.0.mlp.gate"]}, "no linear 'model.layers.0.mlp.gate'"),
    ):
        asked = settings(
            {"path": str(tmp_path / "no such corpus")},
            tokenizer={"source": str(tmp_path / "tokenizer")},
            model={"init": "pretrained", "name": str(tmp_path / "model")},
            modules=modules,
        )
        with pytest.raises(ModelError, match=message):
            run_stage(asked)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("vit", "no language model"),
        ("bert", "is an encoder"),
        ("t5", "is an encoder with a decoder"),
        ("llava", "is a multimodal model"),
    ],
)
def test_a_model_that_is_no_decoder_is_refused_before_reading(
    tmp_path: Path, run_stage: Prepare, kind: str, told: str
) -> None:
    AutoConfig.for_model(kind).save_pretrained(tmp_path / "model")
    asked = settings(
        {"path": str(tmp_path / "no such corpus")},
        tokenizer={"source": "model"},  # there is none: that would be told after its kind
        model={"init": "pretrained", "name": str(tmp_path / "model")},
    )
    with pytest.raises(ModelError, match=told):
        run_stage(asked)


def test_a_corpus_without_text_is_an_error_with_the_counts(
    tmp_path: Path, run_stage: Prepare
) -> None:
    asked = settings({"path": corpus(tmp_path / "data", ["", " ", 7])})
    with pytest.raises(DataError, match=r"no document with text in 3 rows \(2 empty, 1 unread"):
        run_stage(asked)


def test_a_corpus_that_lost_much_is_refused_unless_the_settings_allow_it(
    tmp_path: Path, run_stage: Prepare
) -> None:
    folder = tmp_path / "data"
    whole = corpus(folder, [prose(n, 40) for n in range(20)])
    (folder / "b.jsonl").write_bytes(b"x" * (folder / "a.jsonl").stat().st_size)
    with pytest.raises(DataError, match=r"only 5\d\.\d% of the corpus's bytes became documents"):
        run_stage(settings({"path": whole}))
    run = run_stage(settings({"path": whole, "min_read_share": 0.5}))
    assert any("only 5" in told for told in warnings(run))


def test_a_double_id_costs_a_row_and_only_strict_stops(tmp_path: Path, run_stage: Prepare) -> None:
    file = tmp_path / "a.jsonl"
    records = [{"text": prose(n, 40), "k": "same" if n in (3, 7) else n} for n in range(40)]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    data = {"path": str(file), "id_column": "k"}
    run = run_stage(settings(data))
    assert read_corpus_summary(run).unreadable == 1
    assert f"skipped {file}:8: id 'same' is taken already, by {file}:4" in warnings(run)[0]
    with pytest.raises(DataError, match="id 'same' is taken already"):
        run_stage(settings({**data, "strict": True}))


def test_names_of_files_that_are_no_utf8_end_nothing(tmp_path: Path, run_stage: Prepare) -> None:
    folder = Path(corpus(tmp_path / "data", [prose(n, 40) for n in range(20)]))
    for raw in (b"caf\xe9.jsonl", b"\xff.docx"):
        Path(folder, os.fsdecode(raw)).write_text(json.dumps({"text": prose(99, 40)}))
    asked = settings({"path": str(folder)})
    run = run_stage(asked)
    freshness.finish("prepare", freshness.begin("prepare", asked, run), asked, run, 0.1)
    assert freshness.is_fresh("prepare", asked, run)
    sources = {Path(row.source).name for row in rows(run)}
    assert sources == {"a.jsonl", "caf\ufffd.jsonl"}


def test_ids_that_would_name_a_chunk_and_a_document_are_refused(
    tmp_path: Path, run_stage: Prepare
) -> None:
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"text": prose(1, 200), "k": "x"}) + "\n" + '{"text": "short", "k": "x#1"}'
    )
    asked = settings({"path": str(tmp_path / "a.jsonl"), "id_column": "k", "max_tokens": 64})
    with pytest.raises(DataError, match="'x#1' is also the id of a chunk of document 'x'"):
        run_stage(asked)


def test_progress_names_its_phases_and_ends_complete(tmp_path: Path, run_stage: Prepare) -> None:
    asked = settings({"path": corpus(tmp_path / "data", [prose(n, 30) for n in range(30)])})
    run = run_stage(asked)
    told = [event for event in EventReader(run.events).read() if isinstance(event, Progress)]
    last = {progress.phase: progress for progress in told if progress.total}
    assert list(last) == ["reading", "training the tokenizer", "tokenizing", "near-duplicates"]
    assert all(progress.done == progress.total == 30 for progress in last.values())
    shares = [progress.share or 0.0 for progress in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_killed_attempt_leaves_nothing_that_is_taken_for_finished(
    tmp_path: Path, run_stage: Prepare
) -> None:
    texts = [prose(number, 200) for number in range(1500)]
    asked = settings({"path": corpus(tmp_path / "data", texts)})
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    run.settings.write_text(render_settings(asked))
    save_prompts(run.prompts, PROMPTS)
    process = subprocess.Popen([sys.executable, "-m", "pipeline", "prepare", str(run.root)])
    while not list(run.stage("prepare").glob(".chunks.parquet.*")):  # in the middle of writing
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not run.done("prepare").exists()
    assert not run.examples.exists()
    assert not run.validation.exists()

    run_stage(asked)
    assert len({row.document_id for row in rows(run)}) == 1500
    left = {path.name for path in run.stage("prepare").iterdir()}
    assert left == {
        *("started.json", "summary.json", "prompts.jsonl", "tokenizer"),
        *("examples.parquet", "validation.parquet", "corpus.json"),
    }
