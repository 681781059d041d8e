"""Scores of the positions of each prompt's first examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers.decoders import DecodeStream
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from pipeline.contract.results.examples import ids_of
from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.scores import default_method
from pipeline.contract.results.tokens import PositionScores
from pipeline.contract.settings.prompts import Prompt
from pipeline.corpus.examples import IGNORED, TokenDataset
from pipeline.influence import scoring
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.results import Results


def top_token_scores(
    analyzer: InfluenceAnalyzer,
    results: Results,
    queries: TokenDataset,
    tokenizer: PreTrainedTokenizerBase,
) -> list[PositionScores]:
    """Scores the positions of each prompt's first examples under the default method.

    `queries` are the prompts of the results, as tokens.
    """
    settings = analyzer.settings
    scores = results.methods[default_method(settings)]
    tops = [highest_first(row, settings.scores.token_top).tolist() for row in scores]
    chosen = sorted({index for top in tops for index in top})
    by_token = scoring.token_scores(analyzer, results.strategy, queries, results.examples, chosen)
    ids = ids_of(results.table)
    return position_scores(
        results.prompts, tops, by_token, chosen, ids, results.examples, tokenizer
    )


def position_scores(
    prompts: Sequence[Prompt],
    tops: Sequence[Sequence[int]],
    scores: Tensor,
    chosen: Sequence[int],
    example_ids: Mapping[int, str] | Sequence[str],
    examples: TokenDataset,
    tokenizer: PreTrainedTokenizerBase,
) -> list[PositionScores]:
    """A row for each of a prompt's top examples.

    `tops` are example indices by prompt, `scores` [prompts, len(chosen), T] those of `chosen`.
    """
    column_of = {example: column for column, example in enumerate(chosen)}
    pieces = {
        example: token_pieces(tokenizer, examples[example]["input_ids"].tolist())
        for example in chosen
    }
    return [
        PositionScores(
            prompt_id=prompt.id,
            example_id=example_ids[example],
            tokens=pieces[example],
            scores=scores[row, column_of[example], : examples.lengths[example]].tolist(),
            labelled=_labelled(examples, example),
        )
        for row, (prompt, top) in enumerate(zip(prompts, tops, strict=True))
        for example in top
    ]


def _labelled(examples: TokenDataset, example: int) -> list[bool] | None:
    """Which tokens carry loss; None where all but the first do, as in plain text."""
    labelled: list[bool] = (examples[example]["labels"] != IGNORED).tolist()
    return None if all(labelled[1:]) else labelled


def token_pieces(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> list[str]:
    """The text that each token adds. A letter cut in two is the last of its tokens' text."""
    stream = DecodeStream(skip_special_tokens=False)
    return [stream.step(tokenizer.backend_tokenizer, token) or "" for token in tokens]
