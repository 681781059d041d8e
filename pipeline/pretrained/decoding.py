"""How a model's text is decoded: as Headwater's settings say, whatever its folder brings along.

A `generation_config.json` may hold repetition penalties, bans of n-grams, beams, forced words and
sampling. With any of these the likeliest next token is not the one that is written. Of such a file
only the tokens that end a text are facts about the model; these alone are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from jinja2.exceptions import TemplateError
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

_PROBE = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello"}]


def decode_plainly(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Replaces the model's own decoding by greedy decoding that any of its end tokens ends.

    End tokens: the tokenizer's, and those that the model's files name, which are several where
    turns of a conversation have an end of their own.
    """
    named = _ends_of(model.generation_config) or _ends_of(model.config.get_text_config())
    # ids of another tokenizer would be ordinary words here: an end token is never one of these
    added = set(tokenizer.added_tokens_decoder) - {tokenizer.unk_token_id}
    _set(model, [*_ends_of(tokenizer), *(token for token in named if token in added)])


def keep_ends_alone(model: PreTrainedModel) -> None:
    """As `decode_plainly`, of a model that this program saved with its end tokens."""
    _set(model, _ends_of(model.generation_config))


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the tokens that end a text, the tokenizer's own first; may be empty.

    The one that ends a turn of a conversation is among them, where the chat template writes one.
    """
    turn = end_of_turn(tokenizer)
    ends = [*_ends_of(tokenizer), *_ends_of(model.generation_config)]
    return list(dict.fromkeys(ends if turn is None else [*ends, turn]))


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The id of the special token that ends an answer under the tokenizer's chat template; None
    where an answer ends in none, or there is no template."""
    if not tokenizer.chat_template:
        return None
    render = partial(tokenizer.apply_chat_template, tokenize=False)
    try:
        asked = str(render(_PROBE[:1], add_generation_prompt=True))
        answered = str(render(_PROBE))
    except (TemplateError, TypeError, ValueError):  # it takes no question and answer
        return None
    if not answered.startswith(asked):
        return None
    tokens = tokenizer(answered[len(asked) :].rstrip(), add_special_tokens=False)["input_ids"]
    special = set(tokenizer.added_tokens_decoder) - {tokenizer.unk_token_id}
    return int(tokens[-1]) if tokens and tokens[-1] in special else None


def _set(model: PreTrainedModel, ends: Iterable[int]) -> None:
    found = list(dict.fromkeys(ends))
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        num_beams=1,
        eos_token_id=found or None,
        pad_token_id=found[0] if found else 0,
    )


def _ends_of(source: object) -> list[int]:
    """The end token, or the list of them, that a configuration or a tokenizer names."""
    value = getattr(source, "eos_token_id", None)
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
