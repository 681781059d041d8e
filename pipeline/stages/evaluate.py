"""evaluate: the trained model's answers against the base's, with intervals, and what they copy.

Writes comparison_results/ (model_comparison.csv, a row a prompt; model_comparison_summary.csv, a
row a metric; model_comparison_chart.png) and summary.json. Where scores are up to date, also the
examples behind the trained model's answers: influential_examples.md and .txt, and unless the scores
stage has traced these very answers, rankings.parquet and tokens.parquet like that stage's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from pipeline.contract.errors import MissingResultError
from pipeline.contract.files import write_text
from pipeline.contract.results.evaluation import (
    LIKELIHOOD,
    TITLES,
    AnswerLengths,
    AnswerMetric,
    AnswerOrigins,
    AnswerPair,
    Decoding,
    Evaluation,
    ModelAnswer,
    Origin,
    write_comparison,
    write_evaluation,
)
from pipeline.contract.results.generation import (
    MODELS,
    GeneratedAnswer,
    GeneratedPair,
    read_generated_answers,
    read_generation,
)
from pipeline.contract.results.origin import is_taught, origin_word
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.scores import default_method
from pipeline.contract.results.spans import judged
from pipeline.contract.results.verdict import verdict
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.contract.wording import listed
from pipeline.contract.words import pieces
from pipeline.evaluation.metrics import TextMetrics, oddity
from pipeline.evaluation.statistics import paired_difference
from pipeline.influence import tracing
from pipeline.influence.greedy_answers import traced_prompts, with_answers
from pipeline.model import load_tokenizer
from pipeline.report.influential import Origins, influential_markdown, influential_text
from pipeline.report.score_figures import metric_changes
from pipeline.report.spectrum_figures import save_png
from pipeline.report.style import figure_style
from pipeline.verbatim.answers import longest_overlap, trace_answer
from pipeline.verbatim.indexing import open_span_index

FEW_PROMPTS = 30
_QUOTED = 200
"""Characters of an example in the summary."""


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Scores, compares and writes; a model is needed only to trace the answers.

    Raises:
        ModelError: influence scores that are not numbers.
        ResourceError: out of memory.
    """
    events.doing("comparing the answers")
    measure = TextMetrics()
    pairs = _pairs(settings, run, read_generated_answers(run), measure)
    metrics = _metrics(pairs, settings.run.seed)
    model = settings.model
    warnings = _cautions(pairs, untrained=model.init == "scratch" and not model.trained)
    for message in warnings:
        events.warning(message)
    write_comparison(run, pairs, metrics)
    if metrics:
        with figure_style():
            save_png(metric_changes(metrics), run.comparison_chart)
    pairs, origins = _with_origins(settings, run, events, pairs)
    evaluation = Evaluation(
        prompts=tuple(pairs),
        origins=origins,
        metrics=tuple(metrics),
        words=_lengths(pairs),
        signatures=measure.signatures() if metrics else {},
        perplexities=read_generation(run).perplexities,
        sampling=Decoding(**settings.generate.model_dump()),
        warnings=tuple(warnings),
    )
    write_evaluation(run, evaluation)


def _with_origins(
    settings: Settings, run: RunDir, events: EventWriter, pairs: list[AnswerPair]
) -> tuple[list[AnswerPair], AnswerOrigins]:
    """The pairs with the most influential examples of the trained model's answers, whose pages are
    written; and what ranks them, or why they are not there."""
    try:
        origins = _origins(settings, run, events, pairs)
    except MissingResultError as error:
        missing = f"{error.message}; {error.hint}"
        events.note(f"where the answers come from is not traced: {missing}")
        return pairs, AnswerOrigins(missing=missing)
    write_text(run.comparison / "influential_examples.md", influential_markdown(origins))
    write_text(run.comparison / "influential_examples.txt", influential_text(origins))
    traced = [_with_own_origins(pair, origins) for pair in pairs]
    return traced, AnswerOrigins(origins.method, origins.where)


def _with_own_origins(pair: AnswerPair, origins: Origins) -> AnswerPair:
    traced = tuple(
        Origin(row.example_id, row.source_label, row.score, row.text[:_QUOTED])
        for row in origins.first.get(pair.prompt_id, ())
    )
    copies, taught = pair.trained.copies, is_taught(*origins.ends(pair.prompt_id))
    word = origin_word(copies.is_copied if copies else None, taught)
    return replace(pair, trained=replace(pair.trained, origins=traced, origin=word))


def _origins(
    settings: Settings, run: RunDir, events: EventWriter, pairs: Sequence[AnswerPair]
) -> Origins:
    """Where the trained model's answers come from; traced unless the scores stage has done it.

    Raises:
        MissingResultError: there are no scores that are up to date, or no factors.
    """
    if not freshness.is_fresh("scores", settings, run):
        hint = f"`headwater run scores evaluate --run {run.name}` traces them"
        raise MissingResultError("no scores are up to date", hint)
    method = default_method(settings)
    asked = read_prompts(run)
    tokenizer = load_tokenizer(run.tokenizer)
    written = {
        pair.prompt_id: (pair.trained.answer, pair.trained.ids)
        for pair in read_generated_answers(run)
    }
    answers = with_answers(asked, written, tokenizer)
    if answers == traced_prompts(run, settings.prompts.use_generated, tokenizer):
        return Origins(run, "scores", method)
    if answers:
        tracing.trace(settings, run, events, answers)
    return Origins(run, "evaluate", method)


def _pairs(
    settings: Settings, run: RunDir, generated: Sequence[GeneratedPair], measure: TextMetrics
) -> list[AnswerPair]:
    """Both models' answers with everything measured on them."""
    index, tokenizer = open_span_index(run, run.examples), load_tokenizer(run.tokenizer)

    def measured(one: GeneratedAnswer, expected: str) -> ModelAnswer:
        scores, overlap = _scores(one, expected, measure), longest_overlap(one.answer, index)
        return ModelAnswer(one.answer, one.ended, oddity(one.answer), scores, overlap)

    def traced(pair: GeneratedPair) -> ModelAnswer:
        answer = measured(pair.trained, pair.expected)
        text, begins = judged(settings.data.form, pair.prompt, answer.answer)
        copies = trace_answer(text, begins, tokenizer, index)
        return replace(answer, copies=copies, origin=origin_word(copies.is_copied, taught=None))

    return [
        AnswerPair(
            prompt_id=pair.prompt_id,
            prompt=pair.prompt,
            expected=pair.expected,
            base=measured(pair.base, pair.expected),
            trained=traced(pair),
        )
        for pair in generated
    ]


def _scores(answer: GeneratedAnswer, expected: str, measure: TextMetrics) -> dict[str, float]:
    if not expected.strip() or answer.log_likelihood is None or not answer.tokens:
        return {}
    scores = measure.score(answer.answer, expected)
    return {**scores, LIKELIHOOD: answer.log_likelihood / answer.tokens}


def _metrics(pairs: Sequence[AnswerPair], seed: int) -> list[AnswerMetric]:
    """One a metric, over the prompts with an expected answer."""
    scored = [pair for pair in pairs if pair.base.scores]
    metrics = []
    for name, title in TITLES.items():
        both = [pair for pair in scored if name in pair.base.scores and name in pair.trained.scores]
        if not both:
            continue  # as ROUGE where no expected text holds a word
        base = [pair.base.scores[name] for pair in both]
        trained = [pair.trained.scores[name] for pair in both]
        gain = paired_difference(base, trained, seed)
        metrics.append(
            AnswerMetric(
                **asdict(gain),
                metric=name,
                title=title,
                base=sum(base) / len(base),
                trained=sum(trained) / len(trained),
                verdict=verdict(gain),
            )
        )
    return metrics


def _lengths(pairs: Sequence[AnswerPair]) -> AnswerLengths:
    expected = [pair.expected for pair in pairs if pair.expected.strip()]
    return AnswerLengths(
        base=_mean_length([pair.base.answer for pair in pairs]),
        trained=_mean_length([pair.trained.answer for pair in pairs]),
        expected=_mean_length(expected),
    )


def _mean_length(texts: Sequence[str]) -> float | None:
    return sum(len(pieces(text)) for text in texts) / len(texts) if texts else None


def _cautions(pairs: Sequence[AnswerPair], untrained: bool) -> list[str]:
    """What a reader has to know; of a base with random weights nobody expects an answer."""
    cautions = []
    scored = sum(bool(pair.base.scores) for pair in pairs)
    if scored == 0:
        cautions.append("no prompt has an expected answer: the answers are shown, not measured")
    elif scored == 1:
        cautions.append(
            "only one prompt has an expected answer: its figures have no interval, and nothing "
            "about other prompts follows from them"
        )
    elif scored < FEW_PROMPTS:
        cautions.append(
            f"only {scored} prompts have an expected answer: differences between the models that "
            "are not large cannot be told from chance"
        )
    for model in MODELS[1:] if untrained else MODELS:
        for kind in ("empty", "repetitive"):
            if odd := [pair.prompt_id for pair in pairs if pair.of(model).oddity == kind]:
                counted = f"{len(odd)} of {len(pairs)} ({listed(odd)})"
                cautions.append(f"{kind} answers of the {model} model: {counted}")
    return cautions
