"""Looking for words."""

from __future__ import annotations


def holds(text: str, words: str) -> bool:
    """Whether a text holds every one of some words, in whatever case."""
    folded = text.casefold()
    return all(word in folded for word in words.casefold().split())
