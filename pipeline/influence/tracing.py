"""The examples behind the trained model's own answers, by the method that the run ranks by."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from pipeline.contract.results.examples import read_examples
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.results.scores import default_method
from pipeline.contract.results.tokens import write_token_scores
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence import scoring
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.fitting import link_factors
from pipeline.influence.greedy_answers import TracedPrompt, token_dataset
from pipeline.influence.ranking_table import save_rankings
from pipeline.influence.results import Results, finite_or_missing
from pipeline.influence.settled import settled
from pipeline.influence.tokens import top_token_scores
from pipeline.model import load_tokenizer, load_traced


def trace(
    settings: Settings, run: RunDir, events: EventWriter, answers: Sequence[TracedPrompt]
) -> None:
    """Scores every training example on the answers, each the completion of its prompt.

    Writes tables like the scores stage's: `run.own_rankings` and `run.own_token_scores`. The
    examples' self-influence is that stage's. Kronfluence's folder stays only while it works.

    Raises:
        ModelError: scores that are not numbers.
        ResourceError: out of memory.
    """
    strategy = settings.factors.strategies[0]
    traced = run.traced_answers
    link_factors(run, traced, strategy)
    examples = TokenDataset.of_examples(run)
    tops = min(len(examples), len(answers) * settings.scores.token_top)
    passes = {scoring.scores_phase(strategy): len(examples), scoring.token_phase(strategy): tops}
    events.plan(passes)
    events.doing("loading the model")
    tokenizer = load_tokenizer(run.tokenizer)
    model = load_traced(settings, run.model)
    analyzer = InfluenceAnalyzer(settled(settings, run), traced, events, model)
    queries = token_dataset(answers)
    results = Results(
        [answer.prompt for answer in answers],
        read_examples(run),
        examples,
        strategy,
    )
    results.methods[default_method(settings)] = _scores(
        settings, run, events, analyzer, queries, results
    )
    save_rankings(
        run, "evaluate", results.prompts, results.table, results.methods, settings.scores.top
    )
    if settings.scores.token_top:
        tokens = top_token_scores(analyzer, results, queries, tokenizer)
        write_token_scores(run, "evaluate", tokens)
    shutil.rmtree(traced.root)


def _scores(
    settings: Settings,
    run: RunDir,
    events: EventWriter,
    analyzer: InfluenceAnalyzer,
    queries: TokenDataset,
    results: Results,
) -> Scores:
    """[Q, N] under the default method."""
    strategy = results.strategy
    by_module = scoring.pairwise_scores(analyzer, strategy, queries, results.examples)
    raw = finite_or_missing(strategy, scoring.sum_modules(by_module), events.warning)
    if not settings.scores.normalize:
        return raw
    own = ScoreFile(run).self_influence(strategy).copy()  # torch takes no read-only arrays
    return scoring.normalized_scores(analyzer, strategy, queries, raw, own)
