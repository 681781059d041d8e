"""Answers a question: the model's words, how likely they are, the index's list, then the exact one.

Shape legend: N training examples, C candidates.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np
import pyarrow as pa
import torch
from transformers import PreTrainedTokenizerBase, TextStreamer

from pipeline.ask.indexing import open_store, run_projection
from pipeline.ask.likelihood import beside_texts, token_losses
from pipeline.ask.parts import parts
from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.results.examples import ids_of
from pipeline.contract.results.index import read_text_losses
from pipeline.contract.results.origin import is_taught_by
from pipeline.contract.results.ranks import Order, Scores, highest_first
from pipeline.contract.results.tokens import of_predictions
from pipeline.contract.results.training import read_training
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.replies import (
    AnswerTokens,
    AskedExample,
    ExampleList,
    ExampleTokens,
    PromptLoss,
    Query,
    Reply,
    Written,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset, TokenRow, encode_question, pad_batch
from pipeline.corpus.labelling import require_embedded
from pipeline.influence import scoring
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.baselines import normalized
from pipeline.influence.fitting import link_factors
from pipeline.influence.greedy_answers import TracedPrompt, as_given, token_dataset
from pipeline.influence.queries import differences
from pipeline.influence.settled import settled
from pipeline.influence.tokens import position_scores, token_pieces
from pipeline.model import context_length, embedding_count, load_tokenizer, load_traced
from pipeline.pretrained.decoding import end_tokens

_EXACT_S = 10.0
"""How long the exact method goes on to take further examples, the index's best first."""
_PORTION = 64
"""Examples that it takes at the least; how long they take says how many come next."""


class Asker:
    """One model, kept warm with everything that questions need."""

    def __init__(self, settings: Settings, run: RunDir, say: Callable[[str], None]) -> None:
        """Loads; `say` hears what.

        Raises:
            MissingResultError: the index is damaged.
        """
        self._settings, self._run = settled(settings, run), run
        self._strategy = settings.factors.strategies[0]
        say("loading the model")
        self._tokenizer: PreTrainedTokenizerBase = load_tokenizer(run.tokenizer)
        self._model = load_traced(settings, run.model)
        say("loading the factors")
        self._projection = run_projection(settings, run, self._model)
        say("reading the index")
        there = parts(settings, run)
        self._stores = [open_store(settings, run, part, self._projection) for part in there]
        tables = [part.table(run) for part in there]
        for store, table in zip(self._stores, tables, strict=True):
            store.verify(table.num_rows)
        self._table = pa.concat_tables(tables)
        self._trained = tables[0].num_rows
        self._examples = TokenDataset.of_examples(run, *(part.examples for part in there))
        self._self_influence = np.concatenate([store.self_influence() for store in self._stores])
        self._texts = read_text_losses(run)
        self._by_frequencies = _by_frequencies(run)
        self._asked = RunDir(run.stage("index") / "asked")
        self._analyzer = self._make_analyzer()

    def replies(self, question: Query, say: Callable[[str], None]) -> Iterator[Reply]:
        """How likely the answer is, then the lists, first by the index, then exact; at last the
        tokens of the first examples. `say` hears the model's answer meanwhile.

        Raises:
            UsageError: prompt and completion do not fit into the model's context.
            DataError: the completion has no token that can be predicted.
            ModelError: the model has no embedding for a token.
            HeadwaterError: the model answers nothing.
        """
        asked = question.validated().as_prompt(self._settings.data.form == "chat")
        if asked.messages:
            yield Written(str(self._tokenizer.decode(encode_question(self._tokenizer, asked))))
        traced = self._traced(asked, say)
        if question.instead is not None and traced.other is None:
            raise UsageError(
                f"the model answers just {question.instead.strip()!r}",
                "a difference needs two: write another completion to set against, or none",
            )
        yield from self._likelihoods(traced)
        query = token_dataset([traced])
        each = torch.stack([self._features(query[row]) for row in range(len(query))])
        [features] = differences(query, each)  # features are linear in the loss
        scans = [cosines * lengths for cosines, lengths in (s.scan(features) for s in self._stores)]
        raw: Scores = np.concatenate(scans) * np.float32(features.norm())
        ranking = self._ranking(raw)
        best, taught = highest_first(ranking), is_taught_by(ranking[: self._trained])
        yield self._list(best, raw, question.top, exact=False, taught=taught)
        best = best[: self._settings.index.candidates]
        exact = self._exact_in_time(query, best.tolist())
        order = highest_first(self._ranking(exact))
        yield self._list(order, exact, question.top, exact=True, taught=taught)
        yield from self._tokens(traced, query, order[: self._settings.scores.token_top].tolist())

    def _features(self, row: TokenRow) -> torch.Tensor:
        """Of the loss of one row's answer [F]."""
        return self._projection.features(pad_batch([row]))[0][0]

    def _likelihoods(self, traced: TracedPrompt) -> Iterator[AnswerTokens | PromptLoss]:
        losses = token_losses(self._model, [*traced.context, *traced.answer])
        in_prompt = max(0, len(traced.context) - 1)
        pieces = token_pieces(self._tokenizer, [*traced.context, *traced.answer])
        told = pieces[len(traced.context) :]
        # without a context nothing comes before the first token to predict it from
        yield AnswerTokens(told[-len(losses) :], (-losses[in_prompt:]).exp().tolist())
        if self._texts and (found := beside_texts(losses[:in_prompt].numpy(), self._texts)):
            yield replace(found, by_frequencies=self._by_frequencies)

    def _make_analyzer(self) -> InfluenceAnalyzer:
        """Scores into a folder of its own, with the run's own factors."""
        link_factors(self._run, self._asked, self._strategy)
        events = EventWriter(self._asked.root / "events.jsonl", "ask")
        return InfluenceAnalyzer(self._settings, self._asked, events, self._model)

    def _traced(self, asked: Prompt, say: Callable[[str], None]) -> TracedPrompt:
        """The question with the completion that is given, or with the tokens of the model's own."""
        context = context_length(self._model.config)
        if asked.completion:
            [traced] = as_given([asked], self._tokenizer)
            self._require_fit(traced, context)
            return traced
        tokens = encode_question(self._tokenizer, asked)
        self._require_embedded(tokens)
        self._require_room(len(tokens) + 1, context)
        text, ids = self._answer(tokens, context, say)
        if not text.strip():
            hint = "give a completion to trace, or train for longer"
            raise HeadwaterError("the model answers nothing to this prompt", hint)
        traced = TracedPrompt.of(asked.answered(text), tokens, ids, self._tokenizer)
        self._require_fit(traced, context)
        return traced

    def _require_fit(self, traced: TracedPrompt, context: int | None) -> None:
        """Of the prompt with its completion, and with the one that it is set against."""
        for before, after in filter(None, ((traced.context, traced.answer), traced.other)):
            self._require_embedded([*before, *after])
            self._require_room(len(before) + len(after), context)

    def _require_embedded(self, tokens: Sequence[int]) -> None:
        embeddings = embedding_count(self._model.config)
        require_embedded(tokens, embeddings, self._tokenizer, "the question")

    def _require_room(self, tokens: int, context: int | None) -> None:
        if context is not None and tokens > context:
            raise UsageError(
                f"prompt and completion have {tokens:,} tokens, the model reads {context:,}",
                "shorten them",
            )

    @torch.inference_mode()
    def _answer(
        self, tokens: Sequence[int], context: int | None, say: Callable[[str], None]
    ) -> tuple[str, list[int]]:
        """The model's greedy answer, told piece by piece, and its tokens."""
        ends = end_tokens(self._model, self._tokenizer)
        streamer = _Pieces(self._tokenizer, ends, say)
        limit = self._settings.prompts.max_new_tokens
        ids = torch.tensor([tokens], device=self._model.device)
        written = self._model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=limit if context is None else min(limit, context - len(tokens)),
            do_sample=False,
            eos_token_id=ends or None,
            pad_token_id=ends[0] if ends else 0,
            streamer=streamer,
        )
        new: list[int] = written[0, len(tokens) :].tolist()
        answer = list(takewhile(lambda token: token not in ends, new))
        return "".join(streamer.pieces), answer

    def _exact_in_time(self, query: TokenDataset, best: list[int]) -> Scores:
        """Raw influence [N] of as many of the best as there is time for; NaN for the others."""
        exact: Scores = np.full(len(self._examples), np.nan, np.float32)
        begun, done, portion = time.monotonic(), 0, _PORTION
        while portion and done < len(best):
            chosen = best[done : done + portion]
            exact[chosen] = self._exact(query, chosen)
            done += len(chosen)
            spent = time.monotonic() - begun
            portion = int(done * (_EXACT_S - spent) / spent) if spent < _EXACT_S else 0
        return exact

    def _exact(self, query: TokenDataset, chosen: list[int]) -> Scores:
        """Raw influence [C] of the chosen examples, by Kronfluence."""
        shutil.rmtree(self._asked.kronfluence_scores(self._strategy), ignore_errors=True)
        candidates = self._examples.subset(chosen)
        by_module = scoring.pairwise_scores(self._analyzer, self._strategy, query, candidates)
        scores: Scores = scoring.sum_modules(by_module).numpy()[0]
        return scores

    def _tokens(
        self, traced: TracedPrompt, query: TokenDataset, chosen: list[int]
    ) -> Iterator[ExampleTokens]:
        """What each token of the chosen examples adds, by Kronfluence."""
        if not chosen:
            return
        shutil.rmtree(self._asked.kronfluence_scores(f"{self._strategy}_tokens"), True)
        scores = scoring.token_scores(self._analyzer, self._strategy, query, self._examples, chosen)
        ids = ids_of(self._table.take(chosen))
        names = dict(zip(chosen, ids, strict=True))
        rows = position_scores(
            [traced.prompt], [chosen], scores, chosen, names, self._examples, self._tokenizer
        )
        for row in rows:
            found = of_predictions(row)
            yield ExampleTokens(row.example_id, found.tokens, found.scores, found.labelled)

    def _ranking(self, raw: Scores) -> Scores:
        """The scores [N] that the run ranks by."""
        if not self._settings.scores.normalize:
            return raw
        ranking: Scores = normalized(raw[None], self._self_influence)[0]
        return ranking

    def _list(
        self, order: Order, raw: Scores, top: int, exact: bool, taught: bool | None
    ) -> ExampleList:
        scores = self._ranking(raw)
        rows = (
            AskedExample(
                rank=rank,
                score=float(scores[index]),
                raw=float(raw[index]),
                **self._table.slice(index, 1).to_pylist()[0],
            )
            for rank, index in enumerate(order[:top].tolist(), start=1)
        )
        return ExampleList(exact, tuple(rows), len(order), len(raw), taught)


class _Pieces(TextStreamer):
    """Keeps and tells an answer as it is decoded."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        ends: Sequence[int],
        say: Callable[[str], None],
    ) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._ends = ends
        self.pieces: list[str] = []
        self._say = say

    def put(self, value: torch.Tensor) -> None:
        """A token is generated; one that ends the answer is no part of it."""
        if self.next_tokens_are_prompt or int(value) not in self._ends:
            super().put(value)  # type: ignore[no-untyped-call]

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """A piece is decoded."""
        if text:
            self.pieces.append(text)
            self._say(text)


def _by_frequencies(run: RunDir) -> float | None:
    """Loss of held-out text by token frequencies alone; None where it was not measured."""
    try:
        return read_training(run).unigram_loss
    except HeadwaterError:  # a model can be asked without it
        return None
