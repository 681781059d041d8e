"""Log-likelihoods of candidate answers, each prompt read once however many candidates it has.

The beginning that all prompts share (the few-shot examples) is read once and its keys and values
are kept. What is left of a prompt is read together with its candidates as one row, in which no
candidate sees another, and only the states that predict a candidate's tokens meet the vocabulary.
The figures are those of reading every prompt with every candidate from the start.

Shape legend: B rows of a batch, W tokens of its longest row, P tokens kept from before, N
predicted tokens, U positions that predict them, D width of the hidden states, V vocabulary.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from pipeline.batches import token_budget_batches
from pipeline.evaluation.encoding import Request
from pipeline.influence.loss import logit_chunk_size, vocabulary_projection

_SHORTEST_SHARED = 32
"""Requests with so many first tokens in common may be read behind a shared beginning."""
_WORTH_A_PASS = 1 / 8
"""Of a batch's tokens: a beginning that saves fewer is not worth batches of its own."""


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds a candidate after its prompt."""

    total: float
    """Sum over the candidate's tokens of ln p(token | all before), nats."""
    greedy: bool
    """Whether greedy decoding would give exactly these tokens."""
    tokens: int


@torch.inference_mode()
def likelihoods(
    model: PreTrainedModel, requests: Sequence[Request], budget: int
) -> Iterator[tuple[int, list[Likelihood]]]:
    """Gives (index of the request, its candidates' likelihoods) as batches finish.

    `budget`: most tokens that a batch holds at once, those kept from before and padding counted;
    a prompt that is longer with its candidates is a batch of its own.
    """
    together = _keeps_apart(model, max(map(_length, requests), default=0))
    parts = [
        (index, Request(request.context, tuple(request.candidates[n] for n in numbers), numbers))
        for index, request in enumerate(requests)
        for numbers in _parted(request, together)
    ]
    by_candidate: dict[int, dict[int, Likelihood]] = defaultdict(dict)
    for position, scored in _read(model, [part for _, part in parts], budget):
        index, part = parts[position]
        by_candidate[index].update(zip(part.numbers, scored, strict=True))
        if len(by_candidate[index]) == len(requests[index].candidates):
            complete = by_candidate.pop(index)
            yield index, [complete[n] for n in sorted(complete)]


def _length(request: Request) -> int:
    """Tokens of the prompt and of its candidates but their last ones, which nothing follows."""
    return len(request.context) + sum(len(answer) - 1 for answer in request.candidates)


def _keeps_apart(model: PreTrainedModel, longest: int) -> bool:
    """Whether a mask can tell the model which token sees which, in rows of `longest` tokens.

    A layer that sees a window of positions would count the other candidates' positions too.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    return (
        model._supports_attention_backend
        and config._attn_implementation in ("sdpa", "eager")
        and kinds <= {"full_attention", "sliding_attention"}
        and (window is None or longest <= window)
    )


def _parted(request: Request, together: bool) -> list[tuple[int, ...]]:
    """Which candidates share a row; those of one token add nothing to it."""
    everyone = range(len(request.candidates))
    longer = [n for n in everyone if len(request.candidates[n]) > 1]
    if together or not longer:
        return [tuple(everyone)]
    short = tuple(n for n in everyone if n not in longer)
    return [(n,) for n in longer] + ([short] if short else [])


def _read(
    model: PreTrainedModel, requests: Sequence[Request], budget: int
) -> Iterator[tuple[int, list[Likelihood]]]:
    """As `likelihoods`, each request in one row."""
    head = vocabulary_projection(model)
    for shared, members in _by_beginning(requests, _WORTH_A_PASS * budget):
        kept = _read_shared(model, requests[members[0]].context[:shared])
        rows = [_Row.of(requests[index], shared) for index in members]
        lengths = [shared + len(row.tokens) for row in rows]
        for batch in token_budget_batches(lengths, budget):
            batch_rows = [rows[position] for position in batch]
            scored = _score(_states(model, head, kept, batch_rows), head, batch_rows)
            yield from zip((members[position] for position in batch), scored, strict=True)


def _by_beginning(
    requests: Sequence[Request], least_saved: float
) -> Iterator[tuple[int, list[int]]]:
    """Groups requests by their first tokens; gives how many tokens each group has in common."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        groups[request.context[:_SHORTEST_SHARED]].append(index)
    alone: list[int] = []
    for start, members in groups.items():
        contexts = [requests[index].context for index in members]
        # one token stays, for the candidates' first token is predicted from it
        shared = min(_common(contexts), min(map(len, contexts)) - 1)
        saved = (len(members) - 1) * shared
        if len(start) == _SHORTEST_SHARED <= shared and saved >= least_saved:
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
        model.base_model(input_ids=ids, past_key_values=kept, use_cache=True)
    return kept


@dataclass(frozen=True)
class _Row:
    """The rest of a prompt, and behind it its candidates without their last tokens."""

    tokens: list[int]
    owners: list[int]
    """Whose tokens they are: 0 = the prompt's, n = the nth candidate's."""
    positions: list[int]
    predicted: list[tuple[int, int, int]]
    """(position that predicts it, token, its candidate) of every token of every candidate."""
    sizes: list[int]
    """Tokens of each candidate."""

    @classmethod
    def of(cls, request: Request, shared: int) -> _Row:
        """All but the first `shared` tokens; what all candidates begin with stands there once."""
        answers = request.candidates
        same = min(_common(answers), min(map(len, answers)) - 1)
        stem = request.context[shared:] + answers[0][:same]
        row = cls(
            list(stem), [0] * len(stem), list(range(shared, shared + len(stem))),
            [], [len(answer) for answer in answers],
        )  # fmt: skip
        for n, answer in enumerate(answers):
            begin, later = len(row.tokens), len(answer) - 1 - same
            positions = (*range(len(stem) - 1 - same, len(stem)), *range(begin, begin + later))
            row.predicted.extend(
                (position, token, n) for position, token in zip(positions, answer, strict=True)
            )
            row.tokens.extend(answer[same:-1])
            row.owners.extend([n + 1] * later)
            row.positions.extend(shared + len(stem) + i for i in range(later))
        return row


def _states(
    model: PreTrainedModel, head: nn.Linear | None, kept: DynamicCache, rows: Sequence[_Row]
) -> Tensor:
    """The last hidden states [B, W, D], or logits [B, W, V] where nobody knows how to make them of
    states; `kept` holds what comes before the rows."""
    read = {
        "input_ids": _padded([row.tokens for row in rows], model.device),
        "past_key_values": _repeated(kept, len(rows)),
        "use_cache": False,
    }
    if any(len(set(row.owners)) > 2 for row in rows):
        owners_bw = _padded([row.owners for row in rows], model.device)
        read["attention_mask"] = _apart(owners_bw, kept.get_seq_length(), model.dtype)
        read["position_ids"] = _padded([row.positions for row in rows], model.device)
    # padding lies on the right, where no token that counts sees it
    states: Tensor = (
        model(**read).logits if head is None else model.base_model(**read).last_hidden_state
    )
    return states


def _repeated(kept: DynamicCache, rows: int) -> DynamicCache | None:
    """The kept keys and values before each of so many rows, not copied."""
    if not kept.get_seq_length():
        return None
    repeated = DynamicCache()
    for layer in kept.layers:
        assert isinstance(layer, DynamicLayer)
        assert layer.keys is not None
        assert layer.values is not None
        same = DynamicLayer()  # type: ignore[no-untyped-call]
        same.lazy_initialization(layer.keys, layer.values)
        same.keys = layer.keys.expand(rows, -1, -1, -1)
        same.values = layer.values.expand(rows, -1, -1, -1)
        repeated.layers.append(same)
    return repeated


def _apart(owners_bw: Tensor, before: int, dtype: torch.dtype) -> Tensor:
    """What is added to attention [B, 1, W, P + W]: 0 where a token sees another, that is all of
    before, its prompt and what its own candidate has so far; else as good as -inf."""
    seen, sees = owners_bw[:, None, :], owners_bw[:, :, None]
    width = owners_bw.shape[1]
    visible = ((seen == 0) | (seen == sees)) & torch.ones(
        width, width, dtype=torch.bool, device=owners_bw.device
    ).tril()
    mask = torch.zeros(
        len(owners_bw), 1, width, before + width, dtype=dtype, device=owners_bw.device
    )
    mask[:, 0, :, before:].masked_fill_(~visible, torch.finfo(dtype).min)
    return mask


def _score(
    states_bwd: Tensor, head: nn.Linear | None, rows: Sequence[_Row]
) -> list[list[Likelihood]]:
    """The likelihoods of every row's candidates."""
    predicted = sorted(
        (b, position, token, n)
        for b, row in enumerate(rows)
        for position, token, n in row.predicted
    )
    sources = dict.fromkeys((b, position) for b, position, _, _ in predicted)
    number = {source: u for u, source in enumerate(sources)}
    picked_ud = states_bwd[[b for b, _ in sources], [position for _, position in sources]]
    predicting = [number[b, position] for b, position, _, _ in predicted]
    gained, greedy = _predictions(
        picked_ud, head, predicting, [token for _, _, token, _ in predicted]
    )
    totals = [[0.0] * len(row.sizes) for row in rows]
    likeliest = [[True] * len(row.sizes) for row in rows]
    for (b, _, _, n), nats, best in zip(predicted, gained, greedy, strict=True):
        totals[b][n] += nats
        likeliest[b][n] &= best
    return [
        [Likelihood(*one) for one in zip(totals[b], likeliest[b], row.sizes, strict=True)]
        for b, row in enumerate(rows)
    ]


def _predictions(
    picked_ud: Tensor, head: nn.Linear | None, predicting: list[int], tokens: list[int]
) -> tuple[list[float], list[bool]]:
    """ln p of each token, and whether it is the likeliest; `predicting` (rising) says which of the
    picked states predicts it."""
    gained, greedy = [], []
    step = logit_chunk_size(picked_ud.device, head.out_features if head else picked_ud.shape[-1])
    for begin in range(0, len(picked_ud), step):
        part = slice(bisect_left(predicting, begin), bisect_left(predicting, begin + step))
        rows = torch.tensor(predicting[part], device=picked_ud.device) - begin
        wanted = torch.tensor(tokens[part], device=picked_ud.device)
        states = picked_ud[begin : begin + step]
        logits_uv = (states if head is None else head(states)).float()
        gained.append(logits_uv[rows, wanted] - logits_uv.logsumexp(dim=-1)[rows])
        greedy.append(logits_uv.argmax(dim=-1)[rows] == wanted)
    return torch.cat(gained).tolist(), torch.cat(greedy).tolist()


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Token rows [B, longest], filled up with 0 on the right."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(device)
