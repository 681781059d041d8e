"""Where an answer comes from: its copies marked, and the word for it with its reason."""

from __future__ import annotations

from textual.content import Content

from pipeline.contract.results.origin import OriginWord, explained
from pipeline.contract.results.spans import TextTrace, parted
from tui.readers.clean import clean, clean_lines

COPIED = "underline"
"""The style of what is copied."""
_INKS: dict[OriginWord, str] = {
    "copied": "bold $warning",
    "taught": "bold $success",
    "neither": "bold $error",
    "not known": "bold $secondary",
}
_CUT = 60


def origin_line(word: OriginWord, trace: TextTrace | None, where: str) -> Content:
    """`copied · 5 of 5 tokens, "Ras Drenol plays the oboe" in 1 place · t lists them`; `where` says
    what to press, for the copies or for the index that is missing."""
    parts: list[str | tuple[str, str]] = [(word, _INKS[word]), (" · ", "$secondary")]
    copies = trace.copies if trace else ()
    if trace is None:
        parts.append(("its copies were not looked for", "$secondary"))
    elif copies:
        longest = max(copies, key=lambda span: span.letters[1] - span.letters[0])
        places = f"{longest.count:,} place{'s' * (longest.count != 1)}"
        parts += [
            (f"{trace.covered:,} of {trace.tokens:,} tokens are copied: ", "$secondary"),
            f'"{clean(longest.text.strip(), _CUT)}"',
            (f" in {places}", "$secondary"),
        ]
    if word in ("taught", "neither") or (word == "not known" and trace is not None):
        parts.append((f"{'; ' * bool(copies)}{explained(word)}", "$secondary"))
    if where:
        parts.append((f" · {clean(where)}", "$secondary"))
    return Content.assemble(*parts)


def marked(
    text: str, begins: int, trace: TextTrace | None, style: str = "", lines: bool = False
) -> list[Content]:
    """The same, made harmless, in a style of its own, what is copied underlined; with `lines` kept
    apart, else as one line."""
    show = clean_lines if lines else clean
    return [
        Content.styled(show(piece), f"{style} {COPIED}" if is_copied else style)
        for piece, is_copied in parted(text, begins, trace)
    ]
