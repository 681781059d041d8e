"""How much of a text a tokenizer does not know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError
from pipeline.contract.run.events import EventWriter

_WARNED, _REFUSED = 0.01, 0.2
"""Shares of the tokens from which a person is warned, and from which nothing could mean anything:
all unknown words are one and the same to the model."""


def unknown_share(
    rows: Iterable[Sequence[int] | NDArray[np.int32]], tokenizer: PreTrainedTokenizerBase
) -> float:
    """Share of the sequences' tokens that stand for what the tokenizer does not know.

    A token that begins or ends a sequence is none, even where it is the same as the unknown one.
    """
    unknown = tokenizer.unk_token_id
    count = total = 0
    for row in rows:
        tokens = np.asarray(row)
        if len(tokens) and tokens[0] == tokenizer.bos_token_id:
            tokens = tokens[1:]
        if len(tokens) and tokens[-1] == tokenizer.eos_token_id:
            tokens = tokens[:-1]
        total += len(tokens)
        count += 0 if unknown is None else int((tokens == unknown).sum())
    return count / total if total else 0.0


def check_unknown(share: float, events: EventWriter) -> None:
    """Warns of a share that is seen in the results.

    Raises:
        DataError: so much is unknown that no result would mean anything.
    """
    if share < _WARNED:
        return
    message = f"{share:.1%} of the corpus's tokens are unknown to the tokenizer (<unk>)"
    advice = (
        "is it the tokenizer of this model, with its whole vocabulary, and is the text in a script "
        'that it knows? tokenizer.source = "train" makes one of the corpus for a new model'
    )
    if share >= _REFUSED:
        raise DataError(f"{message}: the model would not see what they say", advice)
    events.warning(f"{message}; {advice}")
