"""Numbers as a person reads them."""

from __future__ import annotations


def clock(seconds: float | None) -> str:
    """Seconds in five characters at most: "0:38", "12:05", "3h05", "4d02"; "–" for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}"
    return f"{hours // 24}d{hours % 24:02d}"


def age(seconds: float) -> str:
    """How long ago: "just now", "5 min ago", "3 h ago", "2 days ago"."""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 2 * 86400:
        return f"{seconds // 3600:.0f} h ago"
    return f"{seconds // 86400:.0f} days ago"


def number(value: float) -> str:
    """A figure in seven characters or so: "0.4213", "-12.5", "4,538", "1.2e-07"."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.4g}"


def compact(count: float) -> str:
    """A round count in few characters: "500", "12,000", "1.5M", "2B"."""
    for unit, name in ((1e9, "B"), (1e6, "M")):
        if abs(count) >= unit:
            return f"{count / unit:g}{name}"
    return f"{count:,.0f}"


def tick(value: float) -> str:
    """A figure of an axis in seven characters at most: "0.0031", "-12.5", "1.2e-07"."""
    text = number(value)
    return text if len(text) <= 7 else f"{value:.1e}"


def score(value: float, least: float = 1e-3) -> str:
    """A score in ten characters at most, its sign always shown: "+0.1286", "-2,464.7"; or "0".
    What is smaller than `least` is written with a power of ten: "+3.607e-04"."""
    if value == 0:
        return "0"
    if 1e3 <= abs(value) < 999_999.9:
        return f"{value:+,.1f}"
    return f"{value:+.4f}" if least <= abs(value) < 1e3 else f"{value:+.3e}"


def decimals(text: str) -> int:
    """Characters of a figure from its point on; 0 where it has none."""
    return len(text) - text.index(".") if "." in text else 0


def aligned(text: str, longest: int, cells: int) -> str:
    """A figure with its point above those of others, the longest of which has so many characters
    from there on; as it is where that has no room, or where it is no figure."""
    padded = text + " " * (longest - decimals(text))
    return padded if text[-1:].isdigit() and len(padded) <= cells else text
