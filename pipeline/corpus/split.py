"""Which documents are held out from training, to measure the validation loss on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from pipeline.corpus.duplicates import components


def held_out(
    documents: Sequence[str],
    groups: Sequence[int],
    fraction: float,
    seed: int,
    may_hold_out: Callable[[str], bool],
) -> set[str]:
    """The documents for validation, about `fraction` of them all and never all of them.

    `documents` and `groups` give each example's document and near-duplicate group. Documents that
    share a group stay on one side, so that no validation text was trained on in another copy.
    Who is held out depends on ids and seed, not on the order of the rows. `may_hold_out` keeps
    documents in training.
    """
    clusters = _clusters(documents, groups)
    count = sum(map(len, clusters))
    wanted = min(round(count * fraction), count - 1)
    chosen: set[str] = set()
    for cluster in sorted(clusters, key=lambda cluster: _lot(min(cluster), seed)):
        if len(chosen) + len(cluster) <= wanted and all(map(may_hold_out, cluster)):
            chosen.update(cluster)
    return chosen


def _lot(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()


def _clusters(documents: Sequence[str], groups: Sequence[int]) -> list[list[str]]:
    """Documents that are linked by near-duplicate examples."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(documents))}
    first_of_group: dict[int, int] = {}
    links = [
        (numbers[name], first_of_group.setdefault(group, numbers[name]))
        for name, group in zip(documents, groups, strict=True)
        if group >= 0
    ]
    clusters: dict[int, list[str]] = {}
    for name, label in zip(numbers, components(len(numbers), links), strict=True):
        clusters.setdefault(label, []).append(name)
    return list(clusters.values())
