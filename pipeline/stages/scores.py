"""Scores every training example on every prompt, and ranks them by several methods.

Reads the examples, the prompts, the trained model and its factors; writes into `scores/`:

    answers.jsonl        the trained model's own greedy answers
    scores.safetensors   every example's score by every method, see `results/score_file.py`
    rankings.parquet     top and bottom examples, see `results/rankings.py`
    tokens.parquet       per-token scores of the top examples, see `results/tokens.py`
    lookup.safetensors   every example's text and words, see `results/lookup_writer.py`
    summary.json         figures, evaluation and warnings, see `results/scores.py`

and Kronfluence's own score folders. Methods: each strategy, raw and (`_normalized`) divided by
√self-influence, which for identity is called gradient_cosine; cosine of hidden states; BM25.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.contract.results.answers import GreedyAnswer, write_answers
from pipeline.contract.results.examples import contents_of, documents_of, read_examples
from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.results.lookup_writer import write_lookup
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.scores import (
    BM25,
    GRADIENT_COSINE,
    HIDDEN_COSINE,
    IDENTITY,
    KnownAnswers,
    ScoresSummary,
    default_method,
    normalized_name,
    write_scores_summary,
)
from pipeline.contract.results.tokens import write_token_scores
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, query_count
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence import scoring
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.baselines import bm25_of_prompts
from pipeline.influence.cautions import cautions
from pipeline.influence.compression import settle_rank
from pipeline.influence.fitting import require_factors
from pipeline.influence.greedy_answers import (
    TracedPrompt,
    as_given,
    greedy_answers,
    token_dataset,
    with_answers,
)
from pipeline.influence.hidden import hidden_cosine
from pipeline.influence.precision import settle_precision
from pipeline.influence.preflight import PREFLIGHT, PREFLIGHT_EXAMPLES, warnings
from pipeline.influence.queries import Queries
from pipeline.influence.ranking_table import save_rankings
from pipeline.influence.results import Results, finite_or_missing, save_scores
from pipeline.influence.retrieval import evaluate
from pipeline.influence.tokens import top_token_scores
from pipeline.model import load_tokenizer, load_traced
from pipeline.sharing.stage import shared_stage

ANSWERS = "answers"
"""The model's own, as a phase."""


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Computes the scores.

    Raises:
        ModelError: scores that are not numbers.
        DataError: there is no answer to trace.
        MissingResultError: there are no factors.
        SettingsError: more partitions than examples or modules.
        ResourceError: out of memory.
    """
    notes = _Notes(events)
    for strategy in settings.factors.strategies:
        require_factors(run, strategy)
    prompts = read_prompts(run, settings.prompts.use_generated)
    tokenizer = load_tokenizer(run.tokenizer)
    examples = TokenDataset.of_examples(run)
    events.plan(_parts(settings, prompts, len(examples)))
    events.doing("loading the model")
    model = load_traced(settings, run.model)
    with notes.timed("answers"):
        answers = _answer(settings, run, events, model, tokenizer, prompts)
    traced = as_given(prompts, tokenizer)
    if settings.prompts.use_generated:
        traced = _with_generated(prompts, answers, tokenizer, notes)
    prompts = [one.prompt for one in traced]
    table = read_examples(run)
    analyzer = InfluenceAnalyzer(settings, run, events, model)
    results = Results(prompts, table, examples, settings.factors.strategies[0])
    checked = settle_precision(analyzer, results.examples, "scores")
    for message in warnings(checked, "scores"):
        notes.warn(message)
    queries = token_dataset(traced)
    settle_rank(analyzer, results.strategy, queries, results.examples)
    with shared_stage("scores", settings, run, events, str(model.device)) as sharing:
        analyzer.sharing = sharing
        _score(settings, analyzer, queries, results, notes)
        analyzer.sharing = None
    _add_opinions(settings, model, queries, results, notes)
    events.doing("writing the scores")
    save_scores(analyzer.settings, run, analyzer.modules, results, queries.contrasted)
    with notes.timed("rankings"):
        save_rankings(run, "scores", prompts, table, results.methods, settings.scores.top)
    events.doing("texts and words for the lists")
    with notes.timed("lookup"):
        write_lookup(run, prompts, table)
    if settings.scores.token_top:
        with notes.timed("tokens"):
            tokens = top_token_scores(analyzer, results, queries, tokenizer)
            write_token_scores(run, "scores", tokens)
    for message in cautions(prompts, table, results.methods[default_method(settings)]):
        notes.warn(message)
    write_scores_summary(
        run, _summary(settings, analyzer.modules, answers, results, checked, notes)
    )


def _parts(settings: Settings, prompts: Sequence[Prompt], examples: int) -> dict[str, float]:
    parts = {ANSWERS: float(len(prompts)), PREFLIGHT: PREFLIGHT_EXAMPLES}
    for strategy in _strategies(settings):
        parts |= scoring.phases(strategy, query_count(prompts), examples)
    tops = float(min(examples, len(prompts) * settings.scores.token_top))
    return parts | {scoring.token_phase(settings.factors.strategies[0]): tops}


def _strategies(settings: Settings) -> list[str]:
    """Those that the settings name; and identity, where the cosine of gradients is wanted."""
    also = [IDENTITY] if GRADIENT_COSINE in settings.scores.second_opinions else []
    return list(dict.fromkeys([*settings.factors.strategies, *also]))


@dataclass
class _Notes:
    """Warnings and durations on their way into the summary."""

    events: EventWriter
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def warn(self, message: str) -> None:
        self.events.warning(message)
        self.warnings.append(message)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - begun, 2)


def _answer(
    settings: Settings,
    run: RunDir,
    events: EventWriter,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[Prompt],
) -> list[GreedyAnswer]:
    answers = []
    for answer in greedy_answers(model, tokenizer, prompts, settings.prompts.max_new_tokens):
        answers.append(answer)
        events.progress(len(answers), len(prompts), "prompts", ANSWERS)
    write_answers(run, answers)
    return answers


def _with_generated(
    prompts: list[Prompt],
    answers: list[GreedyAnswer],
    tokenizer: PreTrainedTokenizerBase,
    notes: _Notes,
) -> list[TracedPrompt]:
    """The prompts with the model's own answers in place of the given completions."""
    written = {answer.id: (answer.generated, answer.tokens) for answer in answers}
    traced = with_answers(prompts, written, tokenizer)
    there = {one.prompt.id: one.prompt for one in traced}
    for prompt in prompts:
        if prompt.id not in there:
            notes.warn(f"prompt {prompt.id!r} is left out: the model answers nothing to it")
        elif prompt.instead != there[prompt.id].instead:
            notes.warn(
                f"prompt {prompt.id!r}: the model answers what stands in `instead`, so the answer "
                "is traced alone"
            )
    if not traced:
        hint = "give completions and set prompts.use_generated = false, or train for longer"
        raise DataError("the model answers nothing to any prompt, so nothing can be traced", hint)
    return traced


def _score(
    settings: Settings,
    analyzer: InfluenceAnalyzer,
    queries: Queries,
    results: Results,
    notes: _Notes,
) -> None:
    """Fills `results` with every method's scores."""
    for strategy in _strategies(settings):
        with notes.timed(f"{strategy} scores"):
            by_module = scoring.pairwise_scores(analyzer, strategy, queries, results.examples)
        raw = finite_or_missing(strategy, scoring.sum_modules(by_module), notes.warn)
        if strategy == results.strategy:
            results.layers = {
                layer: scores.numpy() for layer, scores in scoring.sum_layers(by_module).items()
            }
        with notes.timed(f"{strategy} self-influence"):
            own = scoring.self_influence(analyzer, strategy, queries, results.examples)
        each = finite_or_missing(f"self-influence under {strategy}", own, notes.warn)
        results.self_influence[strategy] = each
        if strategy in settings.factors.strategies:
            results.methods[strategy] = raw
        results.methods[normalized_name(strategy)] = scoring.normalized_scores(
            analyzer, strategy, queries, raw, each
        )


def _add_opinions(
    settings: Settings,
    model: PreTrainedModel,
    queries: Queries,
    results: Results,
    notes: _Notes,
) -> None:
    """What needs neither curvature nor gradients."""
    opinions = settings.scores.second_opinions
    if HIDDEN_COSINE in opinions:
        budget = settings.train.batch_tokens
        notes.events.doing("hidden states")
        with notes.timed("hidden states"):
            results.methods[HIDDEN_COSINE] = hidden_cosine(model, queries, results.examples, budget)
    if BM25 in opinions:
        notes.events.doing("shared words")
        with notes.timed("bm25"):
            results.methods[BM25] = bm25_of_prompts(results.prompts, contents_of(results.table))


def _summary(
    settings: Settings,
    modules: list[str],
    answers: list[GreedyAnswer],
    results: Results,
    before: GradientErrors,
    notes: _Notes,
) -> ScoresSummary:
    checked = [answer.correct for answer in answers if answer.correct is not None]
    documents = documents_of(results.table)
    return ScoresSummary(
        default_method=default_method(settings),
        methods=tuple(results.methods),
        prompts=len(results.prompts),
        examples=results.table.num_rows,
        modules=tuple(modules),
        known=KnownAnswers(sum(checked), len(checked)),
        evaluation=evaluate(results.prompts, documents, results.methods),
        preflight=before,
        warnings=tuple(notes.warnings),
        seconds=notes.seconds,
    )
