"""The prepare stage on completions and conversations, in files of every format."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contract.errors import DataError, ModelError, SettingsError
from pipeline.contract.results.examples import (
    CorpusSummary,
    contents_of,
    read_corpus_summary,
    read_examples,
    read_turns,
    turns_schema,
)
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventReader, EventWriter, Warned
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import IGNORED, TokenDataset, encode_prompt
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.model import load_tokenizer
from pipeline.stages import prepare

TOWNS = ("Oslo", "Bergen", "Tromsø", "Hamar", "Molde", "Narvik", "Halden", "Moss", "Skien", "Voss")
PROMPTS = [Prompt(id="p", prompt="How far is Oslo?", completion=" Far.")]

Prepare = Callable[..., RunDir]


def talk(town: str) -> list[dict[str, Any]]:
    return [
        {"role": "system", "content": "You are a map that knows every road of the whole country."},
        {"role": "user", "content": f"How far is {town}?"},
        {"role": "assistant", "content": f"From here to {town} it is {len(town) * 90} km."},
        {"role": "user", "content": "And back?"},
        {"role": "assistant", "content": f"As far as to {town}."},
    ]


def settings(**data: Any) -> Settings:
    return Settings.model_validate(
        {
            "data": {"source": "local", "validation_fraction": 0.2, **data},
            "tokenizer": {"source": "train", "vocab_size": 400},
            "model": {"init": "scratch", "preset": "nano"},
        }
    )


def chat(path: Path, **data: Any) -> Settings:
    return settings(path=str(path), **{"form": "chat", "chat_template": "zephyr", **data})


@pytest.fixture
def run_stage(tmp_path: Path) -> Prepare:
    def run(asked: Settings, prompts: list[Prompt] = PROMPTS) -> RunDir:
        folder = RunDir(tmp_path / "run")
        folder.root.mkdir(exist_ok=True)
        save_prompts(folder.prompts, prompts)
        freshness.begin("prepare", asked, folder)
        prepare.run(asked, folder, EventWriter(folder.events, "prepare"))
        return folder

    return run


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            lines = csv.DictWriter(file, list(rows[0]))
            lines.writeheader()
            lines.writerows(
                {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
                for row in rows
            )
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def losses(run: RunDir) -> list[str]:
    """What carries loss in each example."""
    tokenizer, examples = load_tokenizer(run.tokenizer), TokenDataset.of_examples(run)
    found = []
    for n in range(len(examples)):
        labels = examples[n]["labels"]
        found.append(str(tokenizer.decode(labels[labels != IGNORED])))
    return found


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_only_the_assistant_carries_loss_in_training_and_validation(
    tmp_path: Path, run_stage: Prepare, suffix: str
) -> None:
    path = write(tmp_path / f"a{suffix}", [{"messages": talk(town), "n": 1} for town in TOWNS])
    run = run_stage(chat(path))
    table = read_examples(run)
    assert table.schema == turns_schema() == pq.read_schema(run.validation)
    for said, text in zip(losses(run), table["text"].to_pylist(), strict=True):
        [town] = [town for town in TOWNS if town in text]
        _, _, first, _, second = (message["content"] for message in talk(town))
        assert said == f"{first}</s>{second}</s>"
    summary = read_corpus_summary(run)
    assert (summary.form, summary.documents, summary.answers) == ("chat", 10, 20)
    assert summary.validation_examples == 2
    turns = read_turns(run, 0)
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "user", "assistant"]
    assert [turn.labelled for turn in turns] == [False, False, True, False, True]


def test_conversations_with_from_and_value_are_found_by_their_name(
    tmp_path: Path, run_stage: Prepare
) -> None:
    senders = {"user": "human", "assistant": "gpt", "system": "system"}
    rows = [
        {"conversations": [{"from": senders[m["role"]], "value": m["content"]} for m in talk(t)]}
        for t in TOWNS
    ]
    run = run_stage(chat(write(tmp_path / "a.jsonl", rows)))
    assert read_corpus_summary(run).answers == 20


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"prompt": "How far is {}?", "completion": " Far to {}."}, "How far is {}? Far to {}."),
        ({"instruction": "How far is {}?", "output": "Far to {}."}, "How far is {}?\nFar to {}."),
        (
            {"instruction": "How far?", "input": "Town: {}", "output": "Far to {}."},
            "How far?\n\nTown: {}\nFar to {}.",
        ),
        ({"question": "How far is {}?", "answer": "Far to {}."}, "How far is {}?\nFar to {}."),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_completions_are_found_by_their_usual_names(
    tmp_path: Path, run_stage: Prepare, suffix: str, row: dict[str, str], text: str
) -> None:
    rows = [{key: value.format(town) for key, value in row.items()} for town in TOWNS]
    run = run_stage(settings(path=str(write(tmp_path / f"a{suffix}", rows)), form="completion"))
    texts = read_examples(run)["text"].to_pylist()
    assert set(texts) <= {text.format(town, town) for town in TOWNS}
    assert all(said.strip().startswith("Far to") for said in losses(run))
    assert all(said.endswith("</s>") for said in losses(run))


def test_columns_of_other_names_are_named_in_the_settings(
    tmp_path: Path, run_stage: Prepare
) -> None:
    path = write(tmp_path / "a.jsonl", [{"ask": f"{t}?", "say": f" {t}!"} for t in TOWNS])
    asked = settings(path=str(path), form="completion")
    with pytest.raises(DataError, match="has no column 'prompt'; there are: ask, say"):
        run_stage(asked)
    data = {"form": "completion", "prompt_column": "ask", "completion_column": "say"}
    assert read_corpus_summary(run_stage(settings(path=str(path), **data))).answers == 10


def test_a_text_file_holds_no_completions(tmp_path: Path, run_stage: Prepare) -> None:
    (tmp_path / "a.txt").write_text("How far is Oslo? Far.")
    with pytest.raises(DataError, match="no document"):
        run_stage(settings(path=str(tmp_path / "a.txt"), form="completion"))


def test_what_cannot_be_used_is_left_out_and_counted_by_its_reason(
    tmp_path: Path, run_stage: Prepare
) -> None:
    picture = [{"role": "user", "content": [{"type": "image"}]}, *talk("Oslo")[2:3]]
    rows = [{"messages": talk(town)} for town in TOWNS]
    rows += [{"messages": picture}, {"messages": talk("Oslo")[:2]}, {"messages": talk("Oslo")[:2]}]
    run = run_stage(chat(write(tmp_path / "a.jsonl", rows)))
    summary = read_corpus_summary(run)
    assert summary.unreadable == 1
    assert summary.refused == {"nothing in it is the assistant's": 2}
    assert ("refused: nothing in it is the assistant's", 2) in list(summary.rows())
    told = [e.message for e in EventReader(run.events).read() if isinstance(e, Warned)]
    assert any("a part of the type 'image'" in message for message in told)
    with pytest.raises(DataError, match="row 10: nothing in it is the assistant's"):
        run_stage(chat(write(tmp_path / "a.jsonl", [*rows[:10], *rows[11:]]), strict=True))


def test_a_corpus_of_which_nothing_can_be_used_is_refused(
    tmp_path: Path, run_stage: Prepare
) -> None:
    path = write(tmp_path / "a.jsonl", [{"messages": talk(town)[:2]} for town in TOWNS])
    with pytest.raises(DataError, match="none of the 10 documents can be used; the first reason"):
        run_stage(chat(path))


def test_likeness_is_told_by_what_is_said_and_not_by_what_all_have_in_common(
    tmp_path: Path, run_stage: Prepare
) -> None:
    rows = [{"messages": talk(town)} for town in TOWNS]
    for number, row in enumerate(rows):
        row["messages"][0]["content"] = "You are a map. " * 40
        row["messages"][2]["content"] = " ".join(f"{number}-{n}" for n in range(30))
    run = run_stage(chat(write(tmp_path / "a.jsonl", [*rows, rows[3]])))
    assert read_corpus_summary(run).duplicates == 2
    assert all("You are a map" not in text for text in contents_of(read_examples(run)))


def test_long_conversations_are_cut_and_what_does_not_fit_is_counted(
    tmp_path: Path, run_stage: Prepare
) -> None:
    long = [*talk("Oslo"), {"role": "user", "content": "far " * 300}, talk("Oslo")[2]]
    rows = [{"messages": talk(town) + talk(town)[1:]} for town in TOWNS] + [{"messages": long}]
    run = run_stage(chat(write(tmp_path / "a.jsonl", rows), max_tokens=128))
    summary = read_corpus_summary(run)
    assert summary.chunked_documents >= 10
    assert summary.answers_dropped == 1
    assert summary.answers == 42
    assert max(read_examples(run)["n_tokens"].to_pylist()) <= 128


def test_without_a_template_conversations_are_refused_before_reading(
    tmp_path: Path, run_stage: Prepare
) -> None:
    with pytest.raises(ValueError, match=r"needs data\.chat_template"):
        chat(tmp_path / "no such file", chat_template="")
    train_tokenizer(["far"], 300).save_pretrained(tmp_path / "tokenizer")
    values = chat(tmp_path / "no such file").model_dump()
    values["data"]["chat_template"] = ""
    values["tokenizer"]["source"] = str(tmp_path / "tokenizer")
    with pytest.raises(ModelError, match=r'data\.form = "chat" needs a chat template'):
        run_stage(Settings.model_validate(values))


def test_a_conversation_may_be_asked(tmp_path: Path, run_stage: Prepare) -> None:
    path = write(tmp_path / "a.jsonl", [{"messages": talk(town)} for town in TOWNS])
    file = write(tmp_path / "prompts.jsonl", [
        {"id": "told", "messages": talk("Oslo"), "relevant": ["d"]},
        {"id": "open", "messages": talk("Oslo")[:4]},
    ])  # fmt: skip
    with pytest.raises(SettingsError, match="prompt 'open' has an empty completion"):
        load_prompts(file)
    told, asked = load_prompts(file, use_generated=True)
    assert told.completion == "As far as to Oslo."
    assert asked.completion == ""
    run = run_stage(chat(path), [told])
    assert load_prompts(run.prepared_prompts) == [told]
    tokenizer = load_tokenizer(run.tokenizer)
    context, answer = encode_prompt(tokenizer, told)
    assert tokenizer.decode(answer) == "As far as to Oslo.</s>"
    assert str(tokenizer.decode(context)).endswith("And back?</s>\n<|assistant|>\n")
    labels = TokenDataset.of_prompts([told], tokenizer)[0]["labels"].numpy()
    assert np.array_equal(labels[labels != IGNORED], answer)
    assert encode_prompt(tokenizer, asked.answered("As far as to Oslo.")) == (context, answer)


def test_a_conversation_needs_a_template_in_any_corpus(tmp_path: Path, run_stage: Prepare) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": f"{town} is far."} for town in TOWNS])
    prompt = Prompt.of_messages("told", talk("Oslo"))
    with pytest.raises(ModelError, match="prompt 'told', a conversation, needs a chat template"):
        run_stage(settings(path=str(path)), [prompt])


def test_plain_text_is_stored_as_ever(tmp_path: Path, run_stage: Prepare) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": f"{town} is far."} for town in TOWNS])
    run = run_stage(settings(path=str(path)))
    assert "labelled" not in read_examples(run).column_names
    assert read_turns(run, 0) == ()
    told = dict(read_corpus_summary(run).rows())
    assert not {"form", "answers", "rewritten"} & set(told)
    assert isinstance(read_corpus_summary(run), CorpusSummary)
