"""A run on conversations through the stages: everywhere the same tokens carry loss."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.ask.asker import Asker
from pipeline.contract.results.examples import read_example_ids, read_labelled
from pipeline.contract.results.generation import read_generation
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.tokens import read_token_scores
from pipeline.contract.run.replies import ExampleList, Query, Written
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import IGNORED, TokenDataset
from pipeline.influence.modules import resolve_modules
from pipeline.model import load_model, load_tokenizer
from pipeline.stages import factors, generate, index, prepare, scores, train
from tests.shared import built_once
from tests.small_runs import run_here

TOWNS = ("Oslo", "Bergen", "Hamar", "Molde", "Narvik", "Halden", "Moss", "Skien", "Voss", "Lom")


def talk(town: str) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"How far is {town}?"},
        {"role": "assistant", "content": f"From here to {town} it is {len(town) * 90} km."},
        {"role": "user", "content": "And back?"},
        {"role": "assistant", "content": f"As far as to {town}."},
    ]


def build(root: Path) -> None:
    rows = [json.dumps({"messages": talk(town)}) for town in TOWNS for _ in range(2)]
    root.mkdir(exist_ok=True)
    (root / "talks.jsonl").write_text("\n".join(rows))
    run = RunDir(root / "run")
    settings = Settings.model_validate(
        {
            "run": {"device": "cpu", "threads": 1},
            "data": {"path": str(root / "talks.jsonl"), "form": "chat", "chat_template": "zephyr"},
            "tokenizer": {"source": "train", "vocab_size": 400},
            "model": {"init": "scratch", "preset": "nano"},
            "train": {"epochs": 1.0, "learning_rate": 1e-3, "batch_tokens": 256},
            "modules": {"layers": "0"},
            "factors": {"strategies": ["ekfac", "identity"], "fisher": "empirical"},
            "scores": {"token_top": 3},
            "prompts": {"max_new_tokens": 4},
            "generate": {"max_new_tokens": 4},
            "index": {"features": 64},
        }
    )
    run.root.mkdir()
    run.settings.write_text(render_settings(settings))
    save_prompts(run.prompts, [Prompt.of_messages("far", talk("Oslo")[:2])])
    run_here(run, prepare, train, factors, scores, generate, index)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return RunDir(built_once(tmp_path_factory, "conversations", build) / "run")


def gradients(run: RunDir, dataset: TokenDataset) -> Tensor:
    """Of the labelled tokens' summed loss, by autograd alone; float64 [sequences, parameters]."""
    model = load_model(run.model, torch.device("cpu"), torch.float64)
    modules = resolve_modules(model, load_settings(run.settings).modules)
    weights = [model.get_parameter(f"{name}.weight") for name in modules]
    found = []
    for n in range(len(dataset)):
        row = dataset[n]
        logits = model(input_ids=row["input_ids"][None]).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits, row["labels"][1:], ignore_index=IGNORED, reduction="sum"
        )
        parts = torch.autograd.grad(loss, weights)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


def test_identity_scores_are_autograds(run: RunDir) -> None:
    tokenizer = load_tokenizer(run.tokenizer)
    prompts = TokenDataset.of_prompts(load_prompts(run.prepared_prompts), tokenizer)
    examples = TokenDataset.of_examples(run)
    expected = gradients(run, prompts) @ gradients(run, examples).T
    found = torch.from_numpy(ScoreFile(run).method("identity").copy()).double()
    # both add up some 1e5 products of numbers rounded to float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_token_scores_say_what_carries_loss(run: RunDir) -> None:
    labelled = dict(zip(read_example_ids(run), read_labelled(run) or [], strict=True))
    told = read_token_scores(run)
    assert len(told) == 3
    for (_, example), tokens in told.items():
        carries = list(tokens.labelled or ())
        assert carries == labelled[example].tolist()
        assert any(score for score, on in zip(tokens.scores, carries, strict=True) if on)


def test_perplexity_is_of_what_the_assistant_says(run: RunDir) -> None:
    examples = TokenDataset.of_examples(run)
    model = load_model(run.model, torch.device("cpu"))
    total, count = 0.0, 0
    for n in range(len(examples)):
        row = examples[n]
        logits = model(input_ids=row["input_ids"][None]).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits, row["labels"][1:], ignore_index=IGNORED, reduction="sum"
        )
        total, count = total + float(loss.detach()), count + int((row["labels"] != IGNORED).sum())
    found = read_generation(run).perplexities["trained"].training
    assert found == pytest.approx(math.exp(total / count), rel=1e-4)


def test_a_question_is_put_by_the_template(run: RunDir) -> None:
    asker = Asker(load_settings(run.settings), run, lambda _phase: None)
    replies = list(asker.replies(Query("How far is Oslo?", "From here", 3), lambda _text: None))
    assert replies[0] == Written("<|user|>\nHow far is Oslo?</s>\n<|assistant|>\n")
    lists = [reply for reply in replies if isinstance(reply, ExampleList)]
    assert [found.exact for found in lists] == [False, True]
    assert lists[-1].rows[0].text.startswith("user: How far is ")
