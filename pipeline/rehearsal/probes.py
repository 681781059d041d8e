"""What every later stage takes for granted about a model's forward pass, tried on a few tokens.

Shape legend: B examples of a batch, T tokens of the longest of them, V vocabulary.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.contract.errors import ModelError
from pipeline.corpus.examples import TokenRow, pad_batch

_ROUNDING = 1000
"""How many roundings of the largest logit equal computations may lie apart."""
_NOT_A_DECODER = "a decoder-only language model is needed: a token may depend on earlier ones only"


@torch.no_grad()
def require_causal(model: PreTrainedModel, row: TokenRow) -> None:
    """Checks that no token moves the logits of the positions before it.

    Raises:
        ModelError: one does, so the model has seen what it is to predict.
    """
    ids = row["input_ids"]
    plain = _logits(model, [row])[0]
    for place in (len(ids) // 3, len(ids) // 2, len(ids) - 1):
        changed = ids.clone()
        changed[place] = _other(model, changed[place])
        other = _logits(model, [{"input_ids": changed, "labels": changed}])[0]
        if _differ(plain[:place], other[:place]):
            raise ModelError(
                f"{_name(model)}: token {place + 1} changes the logits before it, so the model "
                "sees the token that it is to predict",
                _NOT_A_DECODER,
            )


@torch.no_grad()
def require_rows_apart(model: PreTrainedModel, row: TokenRow, mate: TokenRow) -> None:
    """Checks that an example's logits are the same whichever other example shares its batch.

    Raises:
        ModelError: they are not, so no gradient belongs to one example.
    """
    ids = mate["input_ids"]
    others = torch.stack([_other(model, token) for token in ids])
    own = slice(0, len(row["input_ids"]))
    beside = [
        _logits(model, [row, {"input_ids": tokens, "labels": tokens}])[0, own]
        for tokens in (ids, others)
    ]
    if _differ(*beside):
        raise ModelError(
            f"{_name(model)}: an example's logits depend on the other examples of its batch, so "
            "their influence cannot be told apart",
            "choose a model whose layers work on each sequence alone",
        )


def require_unshared(model: nn.Module, names: Iterable[str]) -> None:
    """Checks that no two modules share the weight of a traced one.

    Raises:
        ModelError: two do; influence would be counted twice, or once for both.
    """
    holders: dict[int, list[str]] = defaultdict(list)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        holders[id(parameter)].append(name)
    for name in names:
        sharing = holders[id(model.get_submodule(name).weight)]
        if len(sharing) > 1:
            other = next(each for each in sharing if each != f"{name}.weight")
            raise ModelError(
                f"{name} shares its weight with {other.removesuffix('.weight')}: its influence is "
                "not that of one place in the model",
                "name other modules in modules.names",
            )


@torch.no_grad()
def require_called_once(
    model: PreTrainedModel, names: Sequence[str], rows: Sequence[TokenRow]
) -> None:
    """Checks that a forward pass over a batch calls every traced module exactly once.

    Raises:
        ModelError: it calls one never, or more than once; names it.
    """
    calls: Counter[str] = Counter()

    def count(name: str, _module: nn.Module, _inputs: object) -> None:
        calls[name] += 1

    with ExitStack() as hooks:
        for name in names:
            module = model.get_submodule(name)
            hooks.callback(module.register_forward_pre_hook(partial(count, name)).remove)
        _logits(model, rows)
    for name in names:
        if calls[name] != 1:
            told = f"{calls[name]} times" if calls[name] else "never"
            raise ModelError(
                f"{name} is called {told} in a forward pass over text: its gradient cannot be "
                "traced",
                "leave it out: name the modules to trace in modules.names",
            )


def _logits(model: PreTrainedModel, rows: Sequence[TokenRow]) -> Tensor:
    """Logits [B, T, V] of a batch of rows."""
    batch = pad_batch(rows)
    output = model(
        input_ids=batch["input_ids"].to(model.device),
        attention_mask=batch["attention_mask"].to(model.device),
        use_cache=False,
    )
    logits: Tensor = output.logits
    return logits


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether logits of equal computations lie further apart than rounding explains."""
    size = float(one.abs().max())
    return float((one - other).abs().max()) > _ROUNDING * torch.finfo(one.dtype).eps * size


def _other(model: PreTrainedModel, token: Tensor) -> Tensor:
    """Another token of the vocabulary."""
    vocabulary: int = model.config.get_text_config().vocab_size
    return (token + vocabulary // 2) % vocabulary


def _name(model: PreTrainedModel) -> str:
    return type(model).__name__
