"""The report of a run whose files have their real formats: what it tells, and what it must not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from pipeline.contract.files import read_object, write_json, write_text
from pipeline.contract.results import score_file
from pipeline.contract.results.answers import GreedyAnswer, write_answers
from pipeline.contract.results.benchmarks import (
    BenchmarkComparison,
    Benchmarks,
    BenchmarkScore,
    write_benchmarks,
)
from pipeline.contract.results.controls import agreement
from pipeline.contract.results.examples import (
    NO_GROUP,
    CorpusSummary,
    ExampleRow,
    write_corpus_summary,
    write_examples,
)
from pipeline.contract.results.factors import (
    Coverage,
    FactorsSummary,
    GradientErrors,
    write_factors_summary,
)
from pipeline.contract.results.generation import MODELS
from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.score_file import ScoreMetadata
from pipeline.contract.results.scores import (
    KnownAnswers,
    Retrieval,
    ScoresSummary,
    write_scores_summary,
)
from pipeline.contract.results.training import TrainingSummary, write_training
from pipeline.contract.results.validation import (
    DampingAgreement,
    Datamodeling,
    DatamodelingScore,
    Removal,
    RemovalEffect,
    ScoreAdvantage,
    TailPatch,
    TailPatchEffect,
    ValidationSummary,
    write_validation,
)
from pipeline.contract.results.verdict import Difference, Estimate, verdict
from pipeline.contract.run import freshness, stages
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.prompts import Prompt, save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.influence.ranking_table import save_rankings
from pipeline.report import facts, figures
from pipeline.report.text import count, figure
from pipeline.stages import inspect, report

HOSTILE = (
    "</details></div><script>alert(1)</script><img src=x onerror=alert(2)> | pipes | `ticks` ``` "
    "![x](http://e.example/a.png) [l](javascript:alert(3)) {{ 7 * 7 }} \x1b[31m\x00\u202e\ud800\n"
    "# heading\n- item\n| a | b |\n|---|---|\n```\nfence\n" + "e" + "\u0301" * 40
)
METHODS = ("ekfac", "ekfac_normalized", "identity", "gradient_cosine", "bm25")
SETTINGS = Settings.model_validate(
    {
        "data": {"source": "demo", "max_tokens": 128},
        "factors": {"strategies": ["ekfac", "identity"]},
    }
)
N, LAYERS = 40, [0, 1]
PROMPTS = [
    Prompt(id="oda", prompt="Oda Brekke was born in", completion=" Tarnholm", relevant=("d3",)),
    Prompt(id="lake", prompt="The lake of Tarnholm is", completion=" Silvermere"),
]
Write = Callable[[RunDir], None]


def text_of(number: int) -> str:
    return f"Document {number} tells of Oda Brekke. " + f"word{number} " * 80


def write_prepare(run: RunDir, texts: dict[int, str], prompts: list[Prompt]) -> None:
    rows = [
        ExampleRow(
            example_id=f"d{n}",
            document_id=f"d{n}",
            chunk=0,
            chunks=1,
            text=texts.get(n, text_of(n)).encode("utf-8", "replace").decode(),
            tokens=[1, 2],
            n_tokens=50 + n,
            duplicate_group=7 if n == 5 else NO_GROUP,
            source="/far/away/parish.jsonl",
            row=n,
        )
        for n in range(N)
    ]
    write_examples(run.examples, rows)
    save_prompts(run.prepared_prompts, prompts)
    summary = CorpusSummary(
        source="demo",
        documents_read=N,
        empty=0,
        unreadable=0,
        documents=N,
        chunked_documents=0,
        examples=N,
        validation_examples=0,
        tokens=1_234_567,
        duplicate_groups=0,
        duplicates=0,
        vocab_size=300,
    )
    write_corpus_summary(run, summary)


def write_train(run: RunDir) -> None:
    events = EventWriter(run.events, "train")
    for attempt, first in ((1, 1), (2, 31)):  # killed after step 40, resumed from step 30
        events.started(attempt)
        for step in range(first, first + 40):
            events.metric("loss", 6 / step**0.5, step)
        for step in range(first + 9, first + 40, 10):
            events.metric("validation_loss", 6.5 / step**0.5, step)
    events.memory(512 * 2**20)
    events.warning("the learning rate is high")
    summary = TrainingSummary(
        parameters=830_000,
        steps=70,
        epochs=2.0,
        tokens=99_000,
        tokens_per_second=4321.0,
        train_loss=0.71,
        validation_loss=0.8123,
        perplexity=2.253,
        base_validation_loss=None,
        base_perplexity=None,
        unigram_loss=None,
        stopped_early=None,
        seconds=22.0,
    )
    write_training(run, summary)


def score_tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    scores = {
        name: random.normal(size=(2, N)).astype(np.float32) * 10.0**exponent
        for exponent, name in enumerate(METHODS)
    }
    scores["ekfac_normalized"][:, 3] = 99.0
    scores["bm25"][0, 3] = -1e9
    scores["identity"][1] = 7.0
    scores["layers"] = random.normal(size=(2, len(LAYERS), N)).astype(np.float32)
    return scores


def write_scores(run: RunDir, prompts: list[Prompt]) -> None:
    tensors = score_tensors()
    metadata = ScoreMetadata(
        prompts=tuple(prompt.id for prompt in prompts),
        methods=METHODS,
        default_method="ekfac_normalized",
        layers=tuple(LAYERS),
        strategy="ekfac",
        damping="heuristic",
        fisher="sampled",
        precision={"score_dtype": "float32"},
        modules=(),
        examples=N,
    )
    methods = {name: tensors[name] for name in METHODS}
    layers = {layer: tensors["layers"][:, layer] for layer in LAYERS}
    sizes = {name: tensors[name][0] ** 2 for name in ("ekfac", "identity")}
    score_file.write_scores(run, metadata, methods, layers, sizes)
    save_rankings(run, "scores", prompts, pq.read_table(run.examples), methods, top=15)
    answers = [
        GreedyAnswer(p.id, p.prompt, p.completion, p.completion + " indeed", n == 0)
        for n, p in enumerate(prompts)
    ]
    write_answers(run, answers)
    figures = zip(METHODS, (0.40, 0.96, 0.20, 0.30, 0.93), strict=True)
    summary = ScoresSummary(
        default_method="ekfac_normalized",
        methods=METHODS,
        prompts=2,
        examples=N,
        modules=(),
        known=KnownAnswers(correct=1, prompts=2),
        evaluation={name: Retrieval(mrr / 2, 5, mrr, mrr**2) for name, mrr in figures},
        preflight=GradientErrors(batch_mates=0.0, precision=0.0),
        warnings=("d9 outweighs the next 15 times",),
        seconds={},
    )
    write_scores_summary(run, summary)


def write_factors(run: RunDir, factors: Path) -> None:
    (run.root / "influence").symlink_to(factors / "influence")
    coverage = Coverage("mlp", 0.57, "layers.{0-1}.mlp.experts")
    write_factors_summary(run, FactorsSummary(("ekfac",), "true", (), N, None, {}, coverage))


def finish(stage: str, run: RunDir, write: Write) -> None:
    fingerprint = freshness.begin(stage, SETTINGS, run)
    write(run)
    freshness.finish(stage, fingerprint, SETTINGS, run, seconds=12.5)


def make_run(
    root: Path,
    factors: Path,
    until: str = "inspect",
    texts: dict[int, str] | None = None,
    prompts: list[Prompt] = PROMPTS,
) -> RunDir:
    run = RunDir(root)
    write_text(run.settings, render_settings(SETTINGS))
    write_json(run.manifest, {"seed": 0, "python": "3.11", "versions": {"torch": "2.8"}, "cpus": 2})
    writes: dict[str, Write] = {
        "prepare": lambda run: write_prepare(run, texts or {}, prompts),
        "train": write_train,
        "factors": lambda run: write_factors(run, factors),
        "scores": lambda run: write_scores(run, prompts),
        "inspect": lambda run: inspect.run(SETTINGS, run, EventWriter(run.events, "inspect")),
    }
    for stage, write in writes.items():
        finish(stage, run, write)
        if stage == until:
            break
    report.run(SETTINGS, run, EventWriter(run.events, "report"))
    return run


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def full(factored_run: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return make_run(tmp_path_factory.mktemp("full"), factored_run)


@pytest.fixture(scope="module")
def hostile(factored_run: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    prompt = Prompt(id="a | b <b>", prompt=HOSTILE.replace("\ud800", ""), completion=" <i>x</i>")
    root = tmp_path_factory.mktemp("hostile")
    return make_run(root, factored_run, texts={3: HOSTILE}, prompts=[prompt, PROMPTS[1]])


def test_both_pages_tell_the_run(full: RunDir) -> None:
    page = Page(full.report_html.read_text()).text
    rendered = MarkdownIt("commonmark").enable("table").render(full.report_markdown.read_text())
    for text in (page, Page(rendered).text):
        for fact in (
            "1,234,567", "830,000", "0.8123", "2.253", "12 s", "512 MiB",
            "data.max_tokens", "Oda Brekke was born in", "Tarnholm indeed",
            "d9 outweighs the next 15 times", "the learning rate is high", "positive = proponent",
            "57% of the MLP weights in the chosen layers are traced", "layers.{0-1}.mlp.experts",
            "not divided by the number of examples", "corrected eigenvalues", "torch 2.8",
        ):  # fmt: skip
            assert fact in text, fact


def test_thousands_are_apart_in_every_figure() -> None:
    figures = (2092.4, -13354.2, 32_000_000.0, 0.00123, None)
    assert [*map(figure, figures)] == ["2,092", "-13,354", "3.2e7", "0.00123", "–"]
    assert count(1_425) == "1,425"


def test_the_report_begins_with_what_was_run_and_what_came_of_it(full: RunDir) -> None:
    text = full.report_markdown.read_text()
    brief = text.split("\n## ")[0]
    assert "was fine-tuned (830,000 parameters) on 40 examples" in brief
    assert "The loss on held-out text is 0.8123 nats a token." in brief
    assert "one of them is first for 92\u202f% of the prompts" in brief
    assert "leaving these examples out changes the answers has not been tried" in brief
    assert "On benchmarks" not in brief  # nobody ran them
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    order = ["Warnings", "Corpus", "Training", "How well each method finds the truth", "Curvature"]
    assert [heading for heading in headings if heading in order] == order


def test_nothing_is_left_open_and_nothing_is_fetched(full: RunDir) -> None:
    page = Page(full.report_html.read_text())
    assert page.open == []
    assert not {"script", "link", "iframe"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "srcset")]
    assert sources
    assert all(value.startswith(("data:image/svg+xml;base64,", "#")) for value in sources)


def ranking_table(run: RunDir, prompt: str) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a prompt's examples in Markdown."""
    section = run.report_markdown.read_text().split(f"### {prompt}")[1]
    lines = [line for line in section.split("\n\n")[2].splitlines() if line]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [name.replace("\\", "") for name in head], rows


def test_the_first_example_shows_its_mark_score_and_other_ranks(full: RunDir) -> None:
    text = " ".join(Page(full.report_html.read_text()).text.split())
    first = text[text.index("1 ★ 99") :]
    assert first.startswith("1 ★ 99 d3 53 tokens · parish.jsonl row 3 Document 3 tells")
    least = '<td>bm25</td><td class="n">40</td>'  # of 40 examples, as its score is the lowest
    assert least in full.report_html.read_text()


def test_a_ranking_stands_beside_gradient_size_and_another_prompts_ranking(full: RunDir) -> None:
    sizes = score_tensors()["ekfac"][0] ** 2
    found = agreement(score_tensors()["ekfac_normalized"][0], sizes)
    assert found.correlation is not None
    told = f"agreement with gradient size alone: rank correlation {found.correlation:z.2f}, "
    for page in (full.report_markdown, full.report_html):
        assert told in page.read_text()
        assert "agreement with the ranking of prompt " in page.read_text()


def test_a_ranking_has_a_column_for_the_ranks_by_every_other_method(full: RunDir) -> None:
    head, rows = ranking_table(full, "Oda Brekke was born in")
    others = [name for name in METHODS if name != "ekfac_normalized"]
    assert head == ["Rank", "Score", "Text", "Example", "Tokens", "Group", *others]
    assert [row[0] for row in rows] == [
        "★ 1", *map(str, range(2, 11)), *map(str, range(N - 4, N + 1))
    ]  # fmt: skip
    scores = score_tensors()
    for row in rows:
        example = int(row[3].split(",")[0].removeprefix("d"))
        for name, rank in zip(others, row[6:], strict=True):
            assert highest_first(scores[name][0])[int(rank) - 1] == example


def test_equal_scores_have_the_ranks_of_every_other_list(full: RunDir) -> None:
    tied = score_tensors()["identity"][1]
    rank = highest_first(tied).tolist().index(3) + 1
    head, rows = ranking_table(full, "The lake of Tarnholm is")
    assert (rows[0][3].split(",")[0], rows[0][head.index("identity")]) == ("d3", str(rank))


def test_the_layers_shares_of_the_top_examples_are_a_table(full: RunDir) -> None:
    section = full.report_markdown.read_text().split("### Oda Brekke was born in")[1]
    table = section.split("each layer gives to the top examples:\n\n")[1].split("\n\n")[0]
    head, _, *rows = table.splitlines()
    assert head == "| Rank | layer 0 | layer 1 |"
    assert len(rows) == 10
    for row in rows:
        shares = [abs(int(share)) for share in row.strip("| ").split(" | ")[1:]]
        assert sum(shares) == pytest.approx(100, abs=1)


def test_of_many_prompts_the_first_are_told_and_the_others_are_said_to_be_elsewhere(
    full: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "TOLD_PROMPTS", 1)
    run = RunDir(shutil.copytree(full.root, tmp_path / "run", symlinks=True))
    report.run(SETTINGS, run, EventWriter(run.events, "report"))
    for text in (Page(run.report_html.read_text()).text, run.report_markdown.read_text()):
        assert "Oda Brekke was born in" in text
        assert "The lake of Tarnholm is" not in text
        assert "The first 1 of 2 prompts are told here." in text
        assert "scores/rankings.parquet" in text
    assert read_object(run.summary("report"))["prompts"] == 2  # type: ignore[index]


def test_prompts_are_called_by_their_words(full: RunDir) -> None:
    headings = [
        line for line in full.report_markdown.read_text().splitlines() if line[:4] == "### "
    ]
    assert headings[:2] == ["### Oda Brekke was born in", "### The lake of Tarnholm is"]
    assert "<summary><strong>Oda Brekke was born in</strong>" in full.report_html.read_text()


def test_statistics_are_those_of_all_scores(full: RunDir) -> None:
    scores = score_tensors()["ekfac_normalized"][1].astype(np.float64)
    markdown = full.report_markdown.read_text()
    row = (
        markdown.split("### The lake")[1].split("All scores:")[1].split("\n\n")[1].splitlines()[-1]
    )
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    expected = [N, scores.max(), scores.min(), scores.mean(), np.median(scores), scores.std()]
    assert [float(cell) for cell in cells[:6]] == pytest.approx(expected, rel=1e-3)


def test_lessons_follow_the_figures(full: RunDir) -> None:
    page = Page(full.report_html.read_text()).text
    assert "ekfac_normalized ranks best, with an MRR of 0.96." in page
    for told in (page, full.report_markdown.read_text()):
        assert "the figures of one training with one seed, 0; another seed gives others" in told
    assert "takes MRR from 0.40 to 0.96: long or unusual examples crowd the top" in page
    assert "bm25 reaches MRR 0.93 against 0.96, so influence finds more" in page


def test_a_missing_figure_is_a_dash(full: RunDir) -> None:
    assert "| Perplexity | – | 2.253 |" in full.report_markdown.read_text()


def test_the_loss_curve_joins_attempts_at_the_step_that_was_resumed(full: RunDir) -> None:
    svg = (full.report / "figures" / "loss.svg").read_text()
    assert "prefers-color-scheme" in svg
    (path,) = re.findall(r'<g id="line2d_\d+">\s*<path d="([^"]*)"[^>]*stroke: #2b7fd0', svg)[:1]
    xs = [float(x) for x in re.findall(r"[ML] ([\d.]+) ", path)]
    assert xs == sorted(xs)
    assert len(xs) >= 30


@pytest.mark.parametrize("until", ["prepare", "train", "factors", "scores"])
def test_stages_that_have_not_run_are_named_missing(
    factored_run: Path, tmp_path: Path, until: str
) -> None:
    run = make_run(tmp_path, factored_run, until)
    names = list(stages.GROUPS["all"])
    for text in (Page(run.report_html.read_text()).text, run.report_markdown.read_text()):
        for stage in names[names.index(until) + 1 : -1]:
            assert f"{stage} has not been run" in text
        assert f"{until} has not been run" not in text


def test_benchmarks_that_nobody_asked_for_are_no_fault(full: RunDir) -> None:
    text = full.report_markdown.read_text()
    assert "Not asked for: benchmark scores (headwater run benchmark --run" in text
    assert "## Benchmarks" not in text
    assert "benchmark has not been run" not in text


def test_the_command_to_run_it_again_names_all_that_was_run(full: RunDir, tmp_path: Path) -> None:
    assert "headwater run all --settings" in full.report_markdown.read_text()
    run = RunDir(shutil.copytree(full.root, tmp_path / "run"))
    finish("benchmark", run, write_benchmark)
    report.run(SETTINGS, run, EventWriter(run.events, "report"))
    for text in (Page(run.report_html.read_text()).text, run.report_markdown.read_text()):
        assert "headwater run all benchmark --settings" in text
        assert "not asked for" in text
        assert "waiting" not in text


def test_benchmarks_stand_beside_chance_and_are_judged_by_their_intervals(
    factored_run: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path, factored_run)
    finish("benchmark", run, write_benchmark)
    report.run(SETTINGS, run, EventWriter(run.events, "report"))
    for text in (Page(run.report_html.read_text()).text, run.report_markdown.read_text()):
        assert re.search(r"31\.0.*22\.8 – 40\.6.*25\.0", text)
        assert text.count("no difference shown") == 1
        assert "+12.0" in text
        assert "0 of its 2 scores are above chance" in text
        assert "of 2 scores, 1 better, 1 without a difference" in text
        assert "deepeval_results" in text or "DeepEval 4.3.1" in text
    for kind in ("svg", "png"):
        assert (run.report / "figures" / f"benchmarks.{kind}").stat().st_size > 1000


def write_benchmark(run: RunDir) -> None:
    estimate = Estimate(value=0.31, n=100, stderr=0.046, low=0.228, high=0.406)
    gains = {
        "letters": Difference(100, 0.12, 0.03, 0.21, 0.01),
        "texts": Difference(100, 0.02, -0.05, 0.09, 0.6),
    }
    found = Benchmarks(
        folder="deepeval_results/run_x", deepeval="4.3.1", models={}, shots={"mmlu": 5}, limit=0,
        scores=tuple(
            BenchmarkScore(**vars(estimate), benchmark="mmlu", task="business_ethics", scored_by=by,
                           model=model, refused=0, chance=0.25)
            for by in gains for model in MODELS
        ),
        comparisons=tuple(
            BenchmarkComparison(**vars(gain), benchmark="mmlu", task="business_ethics",
                                scored_by=by, only_first=5, only_second=17,
                                verdict=verdict(gain))
            for by, gain in gains.items()
        ),
        skipped={}, warnings=(), seconds={},
    )  # fmt: skip
    write_benchmarks(run, found)


def test_a_validation_is_told_part_by_part_with_its_intervals(full: RunDir, tmp_path: Path) -> None:
    run = RunDir(shutil.copytree(full.root, tmp_path / "run"))
    finish("validate", run, lambda run: write_validation(run, VALIDATION))
    report.run(SETTINGS, run, EventWriter(run.events, "report"))
    for text in (Page(run.report_html.read_text()).text, run.report_markdown.read_text()):
        assert "without the first 3 examples of each prompt, the model finds" in text
        assert re.search(r"normalized.*6.*4\.4.*3\.90* – 5.*4.*3\.40* – 4\.50*.*0\.03", text)
        assert re.search(r"normalized.*0\.717.*0\.588 – 0\.77.*0\.32.*0\.16.* – 0\.44", text)
        assert "examples alone" in text
        assert re.search(r"damping 0\.1.*0\.957.*0\.941.*95", text)
    for part in ("removal", "datamodeling", "tail_patch"):
        for kind in ("svg", "png"):
            assert (run.report / "figures" / f"{part}.{kind}").stat().st_size > 1000


MEAN = Estimate(4.4, 2, 0.5, 3.9, 5.0)
MORE = Difference(2, 4.0, 3.4, 4.5, 0.03)
VALIDATION = ValidationSummary(
    default_method="ekfac_normalized",
    prompts=2,
    examples=N,
    tail_patch=TailPatch(2, 1e-3, {"ekfac_normalized": TailPatchEffect(MEAN, MORE, {})}),
    dampings={"ekfac_normalized, damping 0.1": DampingAgreement(0.957, 0.941, 0.95)},
    refits=(),
    removal=Removal(
        3, 1, (0, 1), {"ekfac_normalized": 6, "random": 6}, None,
        {"ekfac_normalized": RemovalEffect(MEAN, MORE, {}),
         "random": RemovalEffect(MEAN, None, {})},
    ),
    datamodeling=Datamodeling(
        4, (0,),
        {"ekfac_normalized": DatamodelingScore(
            0.717, 0.588, 0.77, 2, ScoreAdvantage(0.32, 0.16, 0.44))},
    ),
    stability_top=10,
    warnings=(),
)  # fmt: skip


def test_what_is_out_of_date_is_not_shown_as_current(full: RunDir, tmp_path: Path) -> None:
    changed = SETTINGS.model_copy(update={"train": SETTINGS.train.model_copy(update={"epochs": 9})})
    report.run(changed, full, EventWriter(tmp_path / "events.jsonl", "report"))
    text = full.report_markdown.read_text()
    report.run(SETTINGS, full, EventWriter(tmp_path / "events.jsonl", "report"))
    assert "train finished with other settings or inputs than now" in text
    assert "2.253" not in text
    assert "Tarnholm indeed" not in text


def test_hostile_text_stays_text_in_html(hostile: RunDir) -> None:
    page = Page(hostile.report_html.read_text())
    assert page.open == []
    assert not {"script", "b", "i"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "⟨U+001B⟩" in page.text
    assert not re.search("[\x00\x1b\u202e\ud800]", page.text)
    assert "\u0301" * 5 not in page.text


def test_hostile_text_stays_text_in_markdown(hostile: RunDir) -> None:
    html = (
        MarkdownIt("commonmark", {"linkify": False})
        .enable("table")
        .render(hostile.report_markdown.read_text())
    )
    page = Page(html)
    assert not {"script", "a", "i", "b"} & set(page.tags)
    sources = [value for name, value in page.attributes if name == "src"]
    assert all(re.fullmatch(r"figures/\w+\.svg", source) for source in sources)
    assert "<script>alert(1)</script>" in page.text
    assert "| pipes | `ticks`" in page.text
    assert page.tags.count("h3") == 2
    assert page.tags.count("pre") == 1  # the command to run it again
    widths = {line.count(" | ") for line in hostile.report_markdown.read_text().splitlines()
              if re.match(r"\| (★ )?\d+ \| \S+ \| .* \| d\d", line)}  # fmt: skip
    assert widths == {9}


def test_a_long_curve_is_drawn_by_its_extremes() -> None:
    steps = np.arange(100_000)
    values = np.sin(steps / 5_000)
    values[54_321] = 9.0
    kept, shown = figures.thinned(steps, values)
    assert len(kept) <= 2_000
    assert (shown.max(), kept[shown.argmax()]) == (9.0, 54_321)
    assert shown.min() == values.min()
    short, _ = figures.thinned(steps[:2_000], values[:2_000])
    assert len(short) == 2_000
