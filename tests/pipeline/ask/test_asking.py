"""Questions to a worker process: the exact list, and everything that may go wrong between."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from pipeline.ask import asker
from pipeline.contract.errors import CancelledError, HeadwaterError, UsageError
from pipeline.contract.results.answers import read_answers
from pipeline.contract.results.examples import read_example_ids, read_texts
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.run import freshness
from pipeline.contract.run.asking import WorkerAddress, ask, start_worker, stop_worker, worker
from pipeline.contract.run.new_run import adding_to_index, change_settings
from pipeline.contract.run.replies import (
    AnswerPart,
    AnswerTokens,
    ExampleList,
    ExampleTokens,
    PromptLoss,
    Query,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import Prompt
from pipeline.corpus.examples import encode_prompt
from pipeline.model import load_tokenizer, load_traced
from pipeline.stages import index
from tests.small_runs import run_here

Kind = TypeVar("Kind")
PROMPT, COMPLETION = "The river runs", " past the mill"


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture(scope="module")
def run(indexed_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return RunDir(shutil.copytree(indexed_run.root, tmp_path_factory.mktemp("asked") / "run"))


@pytest.fixture(scope="module")
def address(run: RunDir) -> Iterator[WorkerAddress]:
    """A worker that serves the tests of this module."""
    yield start_worker(run)
    stop_worker(run)


def replies_of(kind: type[Kind], address: WorkerAddress, question: Query) -> list[Kind]:
    return [reply for reply in ask(address, question) if isinstance(reply, kind)]


def lists(address: WorkerAddress, question: Query) -> list[ExampleList]:
    return [reply for reply in ask(address, question) if isinstance(reply, ExampleList)]


def test_the_exact_list_is_the_ranking_of_the_scores_stage(
    run: RunDir, address: WorkerAddress
) -> None:
    first, exact = lists(address, Query(PROMPT, COMPLETION, top=48))
    scores = ScoreFile(run).scores(0, "ekfac_normalized")
    ids = read_example_ids(run)
    assert (first.exact, exact.exact) == (False, True)
    found = {row.example_id: row.score for row in exact.rows}
    assert [found[name] for name in ids] == pytest.approx(scores.tolist(), rel=1e-3, abs=1e-4)
    assert {row.source for row in exact.rows} == {"sentences"}
    best = [ids[index] for index in np.argsort(-scores)[:5]]
    assert [row.example_id for row in exact.rows[:5]] == best
    assert best[0] in [row.example_id for row in first.rows[:3]]


def test_a_contrast_is_the_difference_of_two_questions(address: WorkerAddress) -> None:
    questions = (
        Query(PROMPT, COMPLETION, 48),
        Query(PROMPT, " by the harbour", 48),
        Query(PROMPT, COMPLETION, 48, " by the harbour"),
    )
    exact = [lists(address, question)[1] for question in questions]
    one, other, both = ({row.example_id: row.raw for row in found.rows} for found in exact)
    assert list(both) != list(one), "what both completions share decides nothing"
    # each is a sum in float32 over the modules' parameters
    size = max(map(abs, (*one.values(), *other.values())))
    expected = {name: one[name] - other[name] for name in one}
    assert both == pytest.approx(expected, rel=0, abs=1e-4 * size)


def test_a_contrast_to_the_models_own_answer_itself_is_refused(
    run: RunDir, address: WorkerAddress
) -> None:
    own = read_answers(run)["river"].generated
    with pytest.raises(HeadwaterError, match="the model answers just"):
        lists(address, Query(PROMPT, instead=own))


def test_without_a_completion_the_models_own_answer_is_told_and_traced(
    run: RunDir, address: WorkerAddress
) -> None:
    replies = list(ask(address, Query(PROMPT)))
    told = "".join(reply.text for reply in replies if isinstance(reply, AnswerPart))
    greedy = {name: answer.generated for name, answer in read_answers(run).items()}
    assert told.strip() == greedy["river"].strip() != ""
    assert [reply.exact for reply in replies if isinstance(reply, ExampleList)] == [False, True]


def test_every_token_of_the_answer_comes_with_its_probability(
    run: RunDir, address: WorkerAddress
) -> None:
    [found] = replies_of(AnswerTokens, address, Query(PROMPT, COMPLETION))
    assert "".join(found.tokens) == COMPLETION
    tokenizer, model = (
        load_tokenizer(run.tokenizer),
        load_traced(load_settings(run.settings), run.model),
    )
    [(context, answer)] = [
        encode_prompt(tokenizer, Prompt(id="a", prompt=PROMPT, completion=COMPLETION))
    ]
    logits = model(input_ids=torch.tensor([[*context, *answer]])).logits[0]
    expected = logits.softmax(dim=-1)[range(len(context) - 1, len(logits) - 1), answer]
    assert found.probabilities == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_prompt_unlike_the_corpus_is_told_by_its_percentile(
    run: RunDir, address: WorkerAddress
) -> None:
    [known] = replies_of(PromptLoss, address, Query(read_texts(run)[0], " mill"))
    [odd] = replies_of(PromptLoss, address, Query("xqzj kkv vvqx zzpw jjqk", " mill"))
    assert odd.loss > known.loss
    assert odd.higher_than == 1.0 > known.higher_than
    assert f"{odd.loss:.2f} nats a token, is higher than on 100% of" in odd.described()


def test_the_tokens_of_the_first_examples_add_up_to_their_scores(
    run: RunDir, address: WorkerAddress
) -> None:
    replies = list(ask(address, Query(PROMPT, COMPLETION)))
    tokens = [reply for reply in replies if isinstance(reply, ExampleTokens)]
    [exact] = [reply for reply in replies if isinstance(reply, ExampleList) and reply.exact]
    count = load_settings(run.settings).scores.token_top
    assert [one.example_id for one in tokens] == [row.example_id for row in exact.rows[:count]]
    for one, row in zip(tokens, exact.rows, strict=False):
        assert sum(one.scores) == pytest.approx(row.raw, rel=1e-3, abs=1e-4)
        assert row.text in "".join(one.tokens)


def test_a_list_says_how_many_examples_have_its_scores(address: WorkerAddress) -> None:
    first, exact = lists(address, Query(PROMPT, COMPLETION, top=3))
    assert (first.scored, first.examples) == (48, 48)
    assert (exact.scored, exact.examples) == (48, 48)


def test_the_exact_method_ends_when_its_time_is_over(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asker, "_PORTION", 7)
    monkeypatch.setattr(asker, "_EXACT_S", 0.0)
    own = asker.Asker(load_settings(run.settings), run, lambda _phase: None)
    replies = own.replies(Query(PROMPT, COMPLETION, top=48), lambda _text: None)
    first, exact = (reply for reply in replies if isinstance(reply, ExampleList))
    assert (exact.scored, exact.examples, len(exact.rows)) == (7, 48, 7)
    assert {row.example_id for row in exact.rows} == {row.example_id for row in first.rows[:7]}


def test_a_starting_worker_says_what_it_is_at(indexed_run: RunDir, tmp_path: Path) -> None:
    own = RunDir(shutil.copytree(indexed_run.root, tmp_path / "run"))
    heard: list[str] = []
    start_worker(own, say=heard.append)
    try:
        assert "loading the libraries" in heard  # seconds; the others may be over too soon
        assert set(heard) <= {
            "checking the files",
            "loading the libraries",
            "loading the model",
            "loading the factors",
            "reading the index",
        }
        assert not own.ask_phase.exists()
    finally:
        stop_worker(own)


def test_the_worker_imports_no_library_that_it_can_do_without() -> None:
    code = (
        "import sys; from pipeline.libraries import do_without; do_without('scipy'); "
        "import pipeline.ask.asker; "
        "print([m for m in ('peft', 'bitsandbytes', 'datasets', 'pandas', 'matplotlib') "
        "if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_two_clients_at_once_are_both_answered(address: WorkerAddress) -> None:
    found: list[list[ExampleList]] = []
    threads = [
        threading.Thread(target=lambda: found.append(lists(address, Query(PROMPT, COMPLETION))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Query(" "), "the prompt is empty"),
        (Query(PROMPT, "  "), "the completion is empty"),
        (Query("mill " * 600, " past"), r"tokens, the model reads 512"),
        (Query("mill " * 600), r"tokens, the model reads 512"),
    ],
)
def test_a_question_that_has_no_answer_says_why(
    address: WorkerAddress, question: Query, message: str
) -> None:
    with pytest.raises(HeadwaterError, match=message):
        list(ask(address, question))
    assert lists(address, Query(PROMPT, COMPLETION)), "and the worker goes on"


def test_a_client_that_leaves_does_not_end_the_worker(address: WorkerAddress) -> None:
    next(iter(ask(address, Query(PROMPT))))
    assert lists(address, Query(PROMPT, COMPLETION))
    assert address.process.is_alive()


def test_a_client_that_says_nothing_does_not_keep_others_waiting_for_ever(
    address: WorkerAddress,
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(address.socket)
        assert lists(address, Query(PROMPT, COMPLETION))


def test_a_question_after_a_change_of_settings_is_refused_not_answered_from_old_ones(
    run: RunDir, address: WorkerAddress
) -> None:
    before = run.settings.read_text()
    run.settings.write_text(before.replace('damping = "heuristic"', "damping = 0.5"))
    try:
        with pytest.raises(HeadwaterError, match="no index of run that is up to date"):
            list(ask(address, Query(PROMPT, COMPLETION)))
    finally:
        run.settings.write_text(before)


def test_a_worker_of_an_earlier_index_is_nobody(run: RunDir, address: WorkerAddress) -> None:
    assert WorkerAddress.read(run) == address
    there = address.asdict() | {"index": "an earlier one"}
    run.ask_address.write_text(json.dumps(there))
    try:
        assert WorkerAddress.read(run) is None
    finally:
        run.ask_address.write_text(json.dumps(address.asdict()))


@pytest.fixture
def own_run(indexed_run: RunDir, tmp_path: Path) -> RunDir:
    return RunDir(shutil.copytree(indexed_run.root, tmp_path / "run"))


def test_a_start_can_be_called_off(own_run: RunDir) -> None:
    with pytest.raises(CancelledError):
        start_worker(own_run, lambda: False)
    with own_run.ask_lock.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_worker_that_ends_is_not_asked_any_more_and_the_next_waits_for_it(
    own_run: RunDir,
) -> None:
    first = start_worker(own_run)
    ending = threading.Thread(target=stop_worker, args=[own_run])
    ending.start()
    until(lambda: WorkerAddress.read(own_run) is None)
    second = start_worker(own_run)
    ending.join()
    assert first.process.pid != second.process.pid
    assert lists(second, Query(PROMPT, COMPLETION))
    stop_worker(own_run)


def test_a_killed_worker_leaves_nothing_in_the_next_ones_way(own_run: RunDir) -> None:
    killed = start_worker(own_run)
    os.kill(killed.process.pid, signal.SIGKILL)
    assert until(lambda: WorkerAddress.read(own_run) is None)
    with worker(own_run) as address:
        assert address.process != killed.process
        assert lists(address, Query(PROMPT, COMPLETION))
    assert WorkerAddress.read(own_run) is None, "it was not there before"


def test_a_worker_ends_with_its_run(own_run: RunDir) -> None:
    address = start_worker(own_run)
    shutil.rmtree(own_run.root)
    assert until(lambda: not address.process.is_alive())


def test_added_texts_are_traced_beside_the_training_examples(
    own_run: RunDir, tmp_path: Path
) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text('{"text": "The river runs past the mill."}\n{"text": "Of other things."}\n')
    before = {path: path.stat().st_mtime_ns for path in own_run.features.iterdir()}
    add_to_index(own_run, more)
    assert {path: path.stat().st_mtime_ns for path in own_run.features.iterdir()} == before
    with worker(own_run) as address:
        first, exact = lists(address, Query(PROMPT, COMPLETION, top=50))
    trained = set(read_example_ids(own_run))
    for reply in (first, exact):
        added = [row for row in reply.rows if row.example_id not in trained]
        assert added[0].text == "The river runs past the mill."
        assert all(row.example_id.startswith("+") for row in added)
        assert len(added) == 2
    assert exact.rows[0].text == "The river runs past the mill."


def test_an_added_file_that_has_changed_is_indexed_again_and_a_dropped_one_is_gone(
    own_run: RunDir, tmp_path: Path
) -> None:
    more = tmp_path / "more.txt"
    more.write_text("Of other things.")
    add_to_index(own_run, more)
    more.write_text("Of other things, and of bread.")
    assert not freshness.is_fresh("index", load_settings(own_run.settings), own_run)
    run_here(own_run, index)
    (folder,) = own_run.added("").iterdir()
    assert read_texts(own_run, folder / "examples.parquet") == [more.read_text()]
    add_to_index(own_run)
    assert not list(own_run.added("").iterdir())


def test_an_index_needs_no_scores(own_run: RunDir) -> None:
    freshness.forget("scores", own_run)
    freshness.clear("scores", own_run)
    with worker(own_run) as address:
        assert lists(address, Query(PROMPT, COMPLETION))


def test_what_cannot_be_added_leaves_the_settings_as_they_were(
    own_run: RunDir, tmp_path: Path
) -> None:
    (tmp_path / "more.err").write_text("Of other things.")
    before = own_run.settings.read_text()
    command = [sys.executable, "-m", "tui", "--runs", str(tmp_path), "index", "run", "--add"]
    done = subprocess.run([*command, str(tmp_path / "more.err")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "unknown format '.err'; known: .jsonl" in done.stderr
    assert own_run.settings.read_text() == before


def add_to_index(run: RunDir, *paths: Path) -> None:
    """The very paths; without any, what was added before goes."""
    text = run.settings.read_text()
    change_settings(run, adding_to_index(re.sub(r"(?m)^added = .*$", "added = []", text), paths))
    run_here(run, index)


def test_a_run_without_an_index_is_refused_with_what_to_do(own_run: RunDir) -> None:
    freshness.forget("index", own_run)
    with pytest.raises(HeadwaterError, match="no index of run that is up to date"):
        start_worker(own_run)


def test_an_address_of_another_machine_is_nobodys(address: WorkerAddress, own_run: RunDir) -> None:
    there = address.asdict()
    there["process"]["host"] = "elsewhere"
    own_run.ask_address.write_text(json.dumps(there))
    assert WorkerAddress.read(own_run) is None
    assert not stop_worker(own_run)


def test_an_empty_prompt_is_refused_before_any_worker_hears_it() -> None:
    with pytest.raises(UsageError, match="the prompt is empty"):
        Query("").validated()
