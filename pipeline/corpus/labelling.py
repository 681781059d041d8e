"""Text as tokens, and which of these carry loss: the one position where both are made.

Which tokens stand for some characters is told by the offsets that a fast tokenizer gives, never by
counting the tokens of a part encoded alone: where two parts meet, letters of both may become one
token ("Os" + "lo" → " Oslo"; without blanks between words that is the rule). A token carries loss
if it stands for any character of what is to be predicted, so the token in which the prompt ends
and the completion begins belongs to the completion.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError, ModelError

_BLANK = "Ġ"
"""How byte-level tokenizers spell a blank in their tokens."""

Span = tuple[int, int]
"""Characters from the first to before the second."""


@dataclass(frozen=True)
class LabelledTokens:
    """A sequence, and which of its tokens carry loss."""

    tokens: list[int]
    labelled: list[bool]


def encode(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, spelled: bool = False
) -> list[Encoding]:
    """Tokenizes the texts, and adds no special token of the tokenizer's own.

    A text that spells a special token stays ordinary text, unless such tokens are `spelled` in it,
    as a chat template does.
    """
    return (
        tokenizer(
            list(texts),
            add_special_tokens=False,
            split_special_tokens=not spelled,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # no warning of texts beyond the model's context: they are split
        ).encodings
        or []
    )


def extents(encoding: Encoding, text: str) -> list[Span]:
    """The characters of the text that each token stands for; every token has one at least.

    As the encoding's offsets, but with the blanks that byte-level tokenizers leave out of these,
    with the whole letter where a token holds a part of its bytes, and with what a tokenizer takes
    together with the letter before it, such as an accent.
    """
    spans: list[Span] = []
    reached = 0
    following = [*(start for start, _ in encoding.offsets[1:]), len(text)]
    for token, (start, end), after in zip(
        encoding.tokens, encoding.offsets, following, strict=True
    ):
        leading = len(token) - len(token.lstrip(_BLANK)) if start > reached else 0
        start -= min(leading, max(0, start - reached))
        if after > end:  # most tokens end where the next one begins
            if not token.startswith(_BLANK * len(token)):
                end += min(len(token) - len(token.rstrip(_BLANK)), after - end)
            if text[end:after].strip():
                end = after
        spans.append((start, max(end, start + 1)))
        reached = max(reached, end)
    return spans


def covering(encoding: Encoding, text: str, spans: Sequence[Span]) -> list[bool]:
    """Which tokens of the text stand for any character of the spans, which are in order."""
    return overlapping(extents(encoding, text), spans)


def overlapping(pieces: Sequence[Span], spans: Sequence[Span]) -> list[bool]:
    """Which of the pieces have a character in any of the spans; both are in order."""
    labelled = []
    current = 0
    for start, end in pieces:
        while current < len(spans) and spans[current][1] <= start:
            current += 1
        labelled.append(current < len(spans) and spans[current][0] < end)
    return labelled


def encode_context(tokenizer: PreTrainedTokenizerBase, context: str) -> list[int]:
    """Tokens of what a model goes on from: the tokenizer's beginning-of-sequence token, where it
    has one, and the text without the blanks at its end, which the next word begins with."""
    [encoding] = encode([context.rstrip()], tokenizer)
    return _beginning(tokenizer) + encoding.ids


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, context: str, completion: str
) -> tuple[list[int], list[int]]:
    """Tokens of a context, and of a completion that follows it, encoded as the one text they are.

    Blanks at the context's end belong to the completion's first word, and the context begins with
    the beginning-of-sequence token where the tokenizer has one, as in EleutherAI's
    lm-evaluation-harness. That cuts at the number of tokens that the context alone has; both
    agree but where the two melt into a token, which here belongs to the completion.
    """
    return encode_completions(tokenizer, context, [completion])[0]


def encode_completions(
    tokenizer: PreTrainedTokenizerBase,
    context: str,
    completions: Sequence[str],
    spelled: bool = False,
) -> list[tuple[list[int], list[int]]]:
    """As `encode_pair`, for several texts that may follow the same context.

    Where special tokens are `spelled` in the context, as by a chat template, that begins as it is.
    """
    stripped = context.rstrip()
    begin = [] if spelled else _beginning(tokenizer)
    texts = [context + completion if completion else stripped for completion in completions]
    pieces = []
    for encoding, text in zip(encode(texts, tokenizer, spelled), texts, strict=True):
        labelled = covering(encoding, text, [(len(stripped), len(text))])
        first = labelled.index(True) if True in labelled else len(labelled)
        pieces.append((begin + encoding.ids[:first], encoding.ids[first:]))
    return pieces


def require_answer(context: Sequence[int], answer: Sequence[int], what: str) -> None:
    """Checks that every token of an answer can be predicted, and that there is one.

    Raises:
        DataError: there is none, or the first one stands at the very beginning; names `what`.
    """
    if not answer:
        raise DataError(
            f"{what} has no token: there is nothing to predict",
            "write an answer that the tokenizer does not leave out",
        )
    if not context:
        raise DataError(
            f"{what} begins within the first token, which nothing comes before to predict it from",
            "begin the prompt with more text, or the completion with a blank",
        )


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids of the tokens beside the tokenizer's own pieces, special tokens among them."""
    return frozenset(tokenizer.added_tokens_decoder)


def require_embedded(
    tokens: Iterable[int], embeddings: int | None, tokenizer: PreTrainedTokenizerBase, what: str
) -> None:
    """Checks that the model has an embedding for each token; `embeddings` None = not known.

    Raises:
        ModelError: one has none; names it, and `what` it occurs in.
    """
    largest = max(tokens, default=0)
    if embeddings is not None and largest >= embeddings:
        piece = tokenizer.convert_ids_to_tokens(largest)
        raise ModelError(
            f"{what} holds the token {piece!r} with the id {largest:,}; the model has only "
            f"{embeddings:,} embeddings, with ids from 0",
            "take the tokenizer that the model was made with, or leave out such texts",
        )


def _beginning(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    return [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
