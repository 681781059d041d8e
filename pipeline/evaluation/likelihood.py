"""Log-likelihoods of candidate answers, each prompt read once however many candidates it has.

The beginning that all prompts share (the few-shot examples) is read once and its keys and values
are kept; then the rest of each prompt, in batches; then, where candidates have more than one
token, those behind copies of their prompt's keys and values. The figures are those of reading
every prompt with every candidate from the start.

Shape legend: B prompts of a batch, C candidates of a batch, W tokens of the longest prompt's rest,
T tokens of the longest candidate but its last, V vocabulary.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicLayer

from pipeline.batches import token_budget_batches
from pipeline.corpus.examples import encode_completions

_SHORTEST_SHARED = 32
"""A common beginning of fewer tokens is not worth a pass of its own."""


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds a candidate after its prompt."""

    total: float
    """Sum over the candidate's tokens of ln p(token | all before), nats."""
    greedy: bool
    """Whether greedy decoding would give exactly these tokens."""
    tokens: int


@dataclass(frozen=True)
class Request:
    """A prompt and its candidates, as tokens."""

    context: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...]
    places: tuple[int, ...] = ()
    """Which of the question's candidates these are."""
    cut: int = 0
    """Tokens that the context lost on its left, so that it fits the model."""


class DoesNotFitError(Exception):
    """Not even the question itself fits into the model's context."""


def encode(
    tokenizer: PreTrainedTokenizerBase,
    examples: str,
    pairs: Sequence[tuple[str, str]],
    limit: int | None,
) -> list[Request]:
    """Tokens of few-shot examples and a question's (prompt, candidate) pairs; those that share
    their prompt are one request.

    As EleutherAI's lm-evaluation-harness does: encoded as one text, split at the prompt's own
    length, cut from the left to `limit` + 1 tokens, the last of which is only predicted.

    Raises:
        DoesNotFitError: the cut would reach the question.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for place, (question, _) in enumerate(pairs):
        alike[question].append(place)
    grouped: dict[tuple[int, ...], list[int]] = defaultdict(list)
    answers: dict[int, tuple[int, ...]] = {}
    for question, same in alike.items():
        candidates = [pairs[place][1] for place in same]
        encoded = encode_completions(tokenizer, examples + question, candidates)
        for place, (head, tail) in zip(same, encoded, strict=True):
            grouped[tuple(head)].append(place)
            answers[place] = tuple(tail)
    found = []
    for context, places in grouped.items():
        own = tuple(answers[place] for place in places)
        room = len(context) if limit is None else limit + 1 - max(map(len, own))
        cut = max(0, len(context) - room)
        if cut and room < _question_length(tokenizer, pairs[places[0]][0]):
            raise DoesNotFitError
        found.append(Request(context[cut:], own, tuple(places), cut))
    return found


def encode_open(
    tokenizer: PreTrainedTokenizerBase, examples: str, question: str, room: int | None
) -> tuple[tuple[int, ...], int]:
    """Tokens of a prompt to be continued, cut from the left to `room`, and how many were cut.

    Raises:
        DoesNotFitError: the cut would reach the question.
    """
    context = encode_completions(tokenizer, examples + question, [""])[0][0]
    cut = 0 if room is None else max(0, len(context) - room)
    if cut and room is not None and room < _question_length(tokenizer, question):
        raise DoesNotFitError
    return tuple(context[cut:]), cut


def _question_length(tokenizer: PreTrainedTokenizerBase, question: str) -> int:
    return max(1, len(tokenizer.encode(question.rstrip(), add_special_tokens=False)))


def context_length(model: PreTrainedModel) -> int | None:
    """Tokens that the model can read at once; None where it has no limit."""
    limit: int | None = getattr(model.config, "max_position_embeddings", None)
    return limit


@torch.inference_mode()
def likelihoods(
    model: PreTrainedModel, requests: Sequence[Request], budget: int
) -> Iterator[tuple[int, list[Likelihood]]]:
    """Gives (index of the request, its candidates' likelihoods) as batches finish.

    `budget`: most tokens that a batch holds at once, those kept from before and padding counted.
    """
    for shared, members in _by_beginning(requests):
        kept = _read_shared(model, requests[members[0]].context[:shared])
        lengths = [len(requests[index].context) for index in members]
        for batch in token_budget_batches(lengths, budget):
            indices = [members[place] for place in batch]
            rests = [requests[index].context[shared:] for index in indices]
            answers = [requests[index].candidates for index in indices]
            yield from zip(indices, _score(model, kept, rests, answers, budget), strict=True)


def _by_beginning(requests: Sequence[Request]) -> Iterator[tuple[int, list[int]]]:
    """Groups requests by their first tokens; gives how many tokens each group has in common."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        groups[request.context[:_SHORTEST_SHARED]].append(index)
    alone: list[int] = []
    for start, members in groups.items():
        contexts = [requests[index].context for index in members]
        # one token stays, for the candidates' first token is predicted from it
        shared = min(_common(contexts), min(map(len, contexts)) - 1)
        if len(members) > 1 and len(start) == _SHORTEST_SHARED and shared >= _SHORTEST_SHARED:
            yield shared, members
        else:
            alone += members
    if alone:
        yield 0, alone


def _common(contexts: Sequence[tuple[int, ...]]) -> int:
    first, last = min(contexts), max(contexts)  # all others lie between them, in that order
    differs = (n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return next(differs, min(len(first), len(last)))


def _read_shared(model: PreTrainedModel, tokens: tuple[int, ...]) -> DynamicCache:
    kept = DynamicCache()
    if tokens:
        ids = torch.tensor([tokens], device=model.device)
        model(input_ids=ids, past_key_values=kept, use_cache=True, logits_to_keep=1)
    return kept


def _rows(kept: DynamicCache, rows: Tensor, shift: Tensor | None = None) -> DynamicCache:
    """Copies of the kept keys and values of `rows`, each moved to the right by its `shift`, so
    that its padding lies before its tokens: a sliding window counts places, not positions."""
    held = torch.arange(kept.get_seq_length(), device=rows.device)
    places = held[None] if shift is None else (held - shift[:, None]) % max(len(held), 1)

    def copied(states: Tensor) -> Tensor:
        return states[rows[:, None], :, places].transpose(1, 2)

    layers = [
        (copied(layer.keys), copied(layer.values))
        for layer in kept.layers
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
    ]
    return DynamicCache(layers or None)


def _score(
    model: PreTrainedModel,
    kept: DynamicCache,
    rests: Sequence[tuple[int, ...]],
    answers: Sequence[tuple[tuple[int, ...], ...]],
    budget: int,
) -> list[list[Likelihood]]:
    """The likelihoods of every prompt's candidates; `kept` holds what comes before the rests."""
    before = kept.get_seq_length()
    lengths = torch.tensor([len(rest) for rest in rests], device=model.device)
    cache = _rows(kept, torch.zeros(len(rests), dtype=torch.int64, device=model.device))
    longer = any(len(answer) > 1 for row in answers for answer in row)
    positions = torch.tensor(sorted({len(rest) - 1 for rest in rests}), device=model.device)
    output = model(
        input_ids=_padded(rests, model.device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=positions,  # padding on the right is seen by no token that counts
    )
    own = torch.searchsorted(positions, lengths - 1)
    rows = torch.arange(len(rests), device=model.device)
    logits_bv = output.logits[rows, own].float()
    owner = [row for row, candidates in enumerate(answers) for _ in candidates]
    flat = [answer for candidates in answers for answer in candidates]
    totals, greedy = _first_tokens(logits_bv, owner, flat)
    if longer:
        _add_later_tokens(model, cache, before, lengths, owner, flat, budget, totals, greedy)
    found: list[list[Likelihood]] = [[] for _ in rests]
    for place, row in enumerate(owner):
        found[row].append(Likelihood(totals[place], greedy[place], len(flat[place])))
    return found


def _first_tokens(
    logits_bv: Tensor, owner: list[int], flat: list[tuple[int, ...]]
) -> tuple[list[float], list[bool]]:
    rows = torch.tensor(owner, device=logits_bv.device)
    tokens = torch.tensor([answer[0] for answer in flat], device=logits_bv.device)
    totals = logits_bv.log_softmax(dim=-1)[rows, tokens]
    greedy = logits_bv.argmax(dim=-1)[rows] == tokens
    return totals.tolist(), greedy.tolist()


def _add_later_tokens(
    model: PreTrainedModel,
    cache: DynamicCache,
    before: int,
    lengths: Tensor,
    owner: list[int],
    flat: list[tuple[int, ...]],
    budget: int,
    totals: list[float],
    greedy: list[bool],
) -> None:
    """Adds the tokens after each candidate's first; its prompt's keys and values are in `cache`."""
    held = cache.get_seq_length()
    places = [place for place, answer in enumerate(flat) if len(answer) > 1]
    sizes = [held + 4 * len(flat[place]) for place in places]  # logits weigh more than keys
    for batch in token_budget_batches(sizes, budget):
        chosen = [places[n] for n in batch]
        rows = torch.tensor([owner[place] for place in chosen], device=model.device)
        inputs = _padded([flat[place][:-1] for place in chosen], model.device)
        targets = _padded([flat[place][1:] for place in chosen], model.device)
        width = inputs.shape[1]
        ends = before + lengths[rows]
        mask = (torch.arange(held + width, device=model.device) >= held - ends[:, None]).long()
        logits_ctv = model(
            input_ids=inputs,
            attention_mask=mask,
            position_ids=ends[:, None] + torch.arange(width, device=model.device),
            past_key_values=_rows(cache, rows, held - ends),
            use_cache=True,
        ).logits.float()
        gained = logits_ctv.gather(-1, targets[..., None])[..., 0] - logits_ctv.logsumexp(dim=-1)
        agrees = logits_ctv.argmax(dim=-1) == targets
        for n, place in enumerate(chosen):
            real = len(flat[place]) - 1
            totals[place] += float(gained[n, :real].sum())
            greedy[place] = greedy[place] and bool(agrees[n, :real].all())


def _padded(rows: Sequence[tuple[int, ...]], device: torch.device) -> Tensor:
    """Token rows [B, longest], filled up with 0 on the right."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(device)
