"""evaluate: the trained model's answers against the base's, with intervals, and what they copy.

Writes comparison_results/ (model_comparison.csv, a row a prompt; model_comparison_summary.csv, a
row a metric; model_comparison_chart.png) and summary.json. Where scores are up to date, also the
examples behind the trained model's answers: influential_examples.md and .txt, and unless the scores
stage has traced these very answers, rankings.parquet and tokens.parquet like that stage's.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.contract.errors import MissingResultError
from pipeline.contract.files import read_json, replacing, write_json, write_text
from pipeline.contract.results.evaluation import LIKELIHOOD, METRICS, TITLES
from pipeline.contract.results.examples import read_example_ids, read_texts, source_label_of
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import load_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.contract.wording import listed
from pipeline.evaluation.metrics import TextMetrics, oddity
from pipeline.evaluation.overlap import longest_overlaps
from pipeline.evaluation.statistics import paired_difference
from pipeline.influence import tracing
from pipeline.influence.answers import traced_prompts, with_answers
from pipeline.influence.results import default_method
from pipeline.report.influential import Origins, influential_markdown, influential_text
from pipeline.report.score_figures import metric_changes
from pipeline.report.spectrum_figures import save_png
from pipeline.report.style import figure_style
from pipeline.report.text import verdict

FEW_PROMPTS = 30
_QUOTED = 200
"""Characters of an example in the summary."""
_NAMES = {"base": "base", "trained": "finetuned"}
"""Our names of the models, and those in the field's tables."""


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Scores, compares and writes; a model is needed only to trace the answers.

    Raises:
        ModelError: influence scores that are not numbers.
        ResourceError: out of memory.
    """
    rows = pq.read_table(run.generated_answers).to_pylist()
    measure = TextMetrics()
    prompts = [_prompt(row, measure) for row in rows]
    _add_overlaps(run, prompts)
    metrics = _summary(prompts, settings.run.seed)
    warnings = _cautions(prompts)
    for message in warnings:
        events.warning(message)
    _write_csv(run.comparison / "model_comparison.csv", [_flat(prompt) for prompt in prompts])
    _write_csv(run.comparison / "model_comparison_summary.csv", [_line(row) for row in metrics])
    if metrics:
        with figure_style():
            chart = metric_changes(metrics)
            save_png(chart, run.comparison / "model_comparison_chart.png")
    summary = {
        "prompts": prompts,
        "origins": _add_origins(settings, run, events, prompts),
        "metrics": metrics,
        "words": _words(prompts),
        "signatures": measure.signatures() if metrics else {},
        "perplexities": (read_json(run.summary("generate")) or {}).get("perplexities"),
        "sampling": settings.generate.model_dump(mode="json"),
        "warnings": warnings,
    }
    write_json(run.summary("evaluate"), summary)


def _add_origins(
    settings: Settings, run: RunDir, events: EventWriter, prompts: list[dict[str, Any]]
) -> dict[str, str]:
    """Adds the most influential examples to the trained model's answers and writes their pages;
    gives what the rows are and where, or why they are "missing"."""
    try:
        origins = _origins(settings, run, events, prompts)
    except MissingResultError as error:
        missing = f"{error.message}; {error.hint}"
        events.note(f"where the answers come from is not traced: {missing}")
        return {"missing": missing}
    for prompt in prompts:
        prompt["trained"]["origins"] = [
            {
                "example_id": row["example_id"],
                "place": source_label_of(row),
                "score": row["score"],
                "text": row["text"][:_QUOTED],
            }
            for row in origins.first.get(prompt["prompt_id"], ())
        ]
    write_text(run.comparison / "influential_examples.md", influential_markdown(origins))
    write_text(run.comparison / "influential_examples.txt", influential_text(origins))
    return origins.account()


def _origins(
    settings: Settings, run: RunDir, events: EventWriter, prompts: Sequence[dict[str, Any]]
) -> Origins:
    """Where the trained model's answers come from; traced unless the scores stage has done it.

    Raises:
        MissingResultError: there are no scores that are up to date, or no factors.
    """
    if not freshness.is_fresh("scores", settings, run):
        hint = f"`headwater run scores evaluate --run {run.name}` traces them"
        raise MissingResultError("no scores are up to date", hint)
    method = default_method(settings)
    asked = load_prompts(run.prepared_prompts, use_generated=True)
    answers = with_answers(asked, {p["prompt_id"]: p["trained"]["answer"] for p in prompts})
    if answers == traced_prompts(run, settings.prompts.use_generated):
        return Origins(run, run.rankings, run.token_scores, method)
    if answers:
        tracing.trace(settings, run, events, answers)
    return Origins(run, run.own_rankings, run.own_token_scores, method)


def _prompt(row: dict[str, Any], measure: TextMetrics) -> dict[str, Any]:
    """A prompt's answers with everything measured on them; by model."""
    found: dict[str, Any] = {name: row[name] for name in ("prompt_id", "prompt", "expected")}
    for model in _NAMES:
        answer, tokens = row[f"{model}_answer"], row[f"{model}_tokens"]
        scores: dict[str, float] = {}
        if row["expected"].strip():
            scores = measure.score(answer, row["expected"])
            scores[LIKELIHOOD] = row[f"{model}_log_likelihood"] / tokens
        found[model] = {
            "answer": answer,
            "ended": row[f"{model}_ended"],
            "oddity": oddity(answer),
            "scores": scores,
        }
    return found


def _add_overlaps(run: RunDir, prompts: list[dict[str, Any]]) -> None:
    """The longest run of words of each answer that stands in the training texts."""
    ids, texts = read_example_ids(run), read_texts(run)
    for model in _NAMES:
        overlaps = longest_overlaps([prompt[model]["answer"] for prompt in prompts], texts)
        for prompt, overlap in zip(prompts, overlaps, strict=True):
            example = None if overlap.document is None else ids[overlap.document]
            prompt[model]["overlap"] = {
                "words": overlap.words, "of": len(prompt[model]["answer"].split()),
                "text": overlap.text, "example_id": example,
            }  # fmt: skip


def _summary(prompts: Sequence[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """A row a metric, over the prompts with an expected answer."""
    scored = [prompt for prompt in prompts if prompt["base"]["scores"]]
    rows = []
    for name, title in TITLES.items() if scored else ():
        base = [prompt["base"]["scores"][name] for prompt in scored]
        trained = [prompt["trained"]["scores"][name] for prompt in scored]
        gain = asdict(paired_difference(base, trained, seed))
        means = {"base": sum(base) / len(base), "trained": sum(trained) / len(trained)}
        row = {"metric": name, "title": title, **means, **gain}
        rows.append({**row, "verdict": verdict(row)})
    return rows


def _words(prompts: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Words an answer on average, by model, and of the expected ones."""
    texts = {name: [prompt[name]["answer"] for prompt in prompts] for name in _NAMES}
    texts["expected"] = [p["expected"] for p in prompts if p["expected"].strip()]
    return {
        name: sum(len(text.split()) for text in given) / len(given) if given else None
        for name, given in texts.items()
    }


def _cautions(prompts: Sequence[dict[str, Any]]) -> list[str]:
    found = []
    scored = sum(bool(prompt["base"]["scores"]) for prompt in prompts)
    if scored == 0:
        found.append("no prompt has an expected answer: the answers are shown, not measured")
    elif scored == 1:
        found.append(
            "only one prompt has an expected answer: its figures have no interval, and nothing "
            "about other prompts follows from them"
        )
    elif scored < FEW_PROMPTS:
        found.append(
            f"only {scored} prompts have an expected answer: differences between the models that "
            "are not large cannot be told from chance"
        )
    for model in _NAMES:
        for kind in ("empty", "repetitive"):
            if odd := [p["prompt_id"] for p in prompts if p[model]["oddity"] == kind]:
                counted = f"{len(odd)} of {len(prompts)} ({listed(odd)})"
                found.append(f"{kind} answers of the {model} model: {counted}")
    return found


def _flat(prompt: dict[str, Any]) -> dict[str, Any]:
    """A row of model_comparison.csv, under the names that such tables have."""
    row = {"prompt_idx": prompt["prompt_id"], "prompt": prompt["prompt"]}
    row["expected"] = prompt["expected"]
    row |= {f"{name}_completion": prompt[model]["answer"] for model, name in _NAMES.items()}
    for model, name in _NAMES.items():
        scores = prompt[model]["scores"]
        row |= {f"{name}_{metric.lower()}": scores.get(metric) for metric in METRICS}
        loss = -scores[LIKELIHOOD] if scores else None
        row[f"{name}_reference_perplexity"] = None if loss is None else math.exp(min(loss, 700))
        row[f"{name}_ended"] = prompt[model]["ended"]
        row[f"{name}_flag"] = prompt[model]["oddity"]
        row[f"{name}_copied_words"] = prompt[model]["overlap"]["words"]
        row[f"{name}_copied_from"] = prompt[model]["overlap"]["example_id"]
    return row


def _line(row: dict[str, Any]) -> dict[str, Any]:
    """A row of model_comparison_summary.csv."""
    share = row["metric"] != LIKELIHOOD
    relative = row["difference"] / row["base"] * 100 if share and row["base"] else None
    return {
        "Metric": row["title"],
        "Base Model": row["base"],
        "Fine-tuned Model": row["trained"],
        "Difference": row["difference"],
        "Relative Difference (%)": relative,
        "95% low": row["low"],
        "95% high": row["high"],
        "p": row["p_value"],
        "Prompts": row["n"],
        "Verdict": row["verdict"],
    }


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
