"""Looking for words."""

from __future__ import annotations


def holds(text: str, words: str) -> bool:
    """Whether a text holds every one of some words, in whatever case."""
    wanted = words.casefold().split()
    if not wanted:
        return True
    folded = text.casefold()
    return all(word in folded for word in wanted)
