"""In a word, where an answer comes from: copied, taught, or neither.

Copied: at least half of it stands word for word in the training data (`spans.py`). Else the ranking
decides. An example that has nothing to do with an answer raises and lowers its loss alike, so what
the strongest opponents have, chance gives to the first proponents, too. (Knockoff filters and
target-decoy searches estimate false discoveries by the same symmetry: Barber and Candès, 2015;
Elias and Gygi, 2007.) Taught: the influence of the first 5 is at least twice that of the 5
opponents, so that at most half of it is what chance gives.

NumPy is imported with the first scores.

Shape legend: N training examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from pipeline.contract.results.ranks import Scores

OriginWord = Literal["copied", "taught", "neither", "not known"]
ORIGIN_WORDS: tuple[OriginWord, ...] = get_args(OriginWord)

FIRST = 5
"""Examples at either end of a ranking that are weighed against each other."""
TIMES = 2.0
"""How many times the opponents' influence the proponents must have."""


def origin_word(copied: bool | None, taught: bool | None) -> OriginWord:
    """The word; None = not known, and an answer of which a copy was not looked for may be one."""
    if copied:
        return "copied"
    if copied is None or taught is None:
        return "not known"
    return "taught" if taught else "neither"


def is_taught(highest: Sequence[float], lowest: Sequence[float]) -> bool | None:
    """Whether the 5 highest scores of a ranking outweigh the 5 lowest as they must; with fewer than
    10 examples half of them each. None = there are no scores."""
    if not highest or len(highest) != len(lowest):
        return None
    return sum(highest) > 0 and sum(highest) >= -TIMES * sum(lowest)


def is_taught_by(scores: Scores) -> bool | None:
    """The same of all scores [N], NaN = missing."""
    import numpy as np

    known = scores[~np.isnan(scores)]
    count = min(FIRST, len(known) // 2)
    if not count:
        return None
    parted = np.partition(known, [count - 1, len(known) - count])  # a million take long to sort
    highest, lowest = np.sort(parted[len(known) - count :]), np.sort(parted[:count])
    return is_taught(highest.tolist(), lowest.tolist())


def explained(word: OriginWord) -> str:
    """What a word means, as a sentence goes on behind it."""
    weighed = f"the first {FIRST} examples have"
    times = f"{TIMES:g} times the influence of the {FIRST} strongest opponents"
    meanings: dict[OriginWord, str] = {
        "copied": "at least half of it stands word for word in the training data",
        "taught": f"no copy, and {weighed} at least {times}: they are what there is to read",
        "neither": f"no copy, and {weighed} less than {times}: little more than chance gives",
        "not known": "its copies were not looked for, or its influence was not",
    }
    return meanings[word]
