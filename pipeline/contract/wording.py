"""Sentences' parts that stages, reports and screens share."""

from __future__ import annotations

from collections.abc import Sequence


def shorten(text: str, limit: int) -> tuple[str, bool]:
    """The text's beginning, cut at a blank near `limit` characters, and whether it was cut."""
    if len(text) <= limit:
        return text, False
    head = text[:limit]
    blank = head.rfind(" ", limit * 4 // 5)
    return head[: blank if blank > 0 else limit].rstrip() + " …", True


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def why(completion: str, instead: str | None) -> str:
    """What a ranking explains: `why "oboe" rather than "flute"`; or the completion alone."""
    if instead is None:
        return completion.strip()
    return f'why "{completion.strip()}" rather than "{instead.strip()}"'
