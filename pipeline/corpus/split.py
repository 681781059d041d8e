"""Selects the validation split: the documents that are held out from training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.contract.errors import SettingsError
from pipeline.contract.files import read_json
from pipeline.corpus.duplicates import components


def held_out(
    documents: Sequence[str],
    groups: Sequence[int],
    fraction: float,
    seed: int,
    may_hold_out: Callable[[str], bool],
) -> set[str]:
    """Ids of the documents held out for validation: about `fraction` of all, never all.

    `documents`, `groups`: document id and near-duplicate group of each example, -1 = no group.
    Documents that share a group stay on one side, so that no copy of a validation text is trained
    on. The choice depends on ids and seed, not on the order of the rows. Documents that
    `may_hold_out` rejects stay in training.
    """
    clusters = _clusters(documents, groups)
    count = sum(map(len, clusters))
    # at least one document stays in training
    wanted = min(round(count * fraction), count - 1)
    chosen: set[str] = set()
    # its smallest id stands for a cluster, in whatever order its documents were read
    for cluster in sorted(clusters, key=lambda cluster: _random_key(min(cluster), seed)):
        if len(chosen) + len(cluster) <= wanted and all(map(may_hold_out, cluster)):
            chosen.update(cluster)
    return chosen


def _random_key(name: str, seed: int) -> bytes:
    """A sort key that puts documents into a random order."""
    # a hash, not a generator: a document that is added does not reorder the others
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest()


def named_documents(path: Path) -> set[str]:
    """The document ids that a file names as held out.

    Raises:
        SettingsError: it is no JSON list of ids.
    """
    names = read_json(path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        hint = 'such as ["doc-7", "doc-12"]; or leave data.held_out empty for a share at random'
        raise SettingsError(f"data.held_out: {path} is no JSON list of document ids", hint)
    return set(names)


def _clusters(documents: Sequence[str], groups: Sequence[int]) -> list[list[str]]:
    """Groups documents that are linked, directly or through others, by near-duplicate examples."""
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
