"""Markdown whose text a terminal shows and never obeys."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from textual.content import Content
from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownFence

from tui.readers.clean import clean, clean_lines

_BREAK = "\u200b"
"""The report puts it into addresses, so that no page makes links of them."""


class PlainFence(MarkdownFence):
    """Code as it stands: to guess its language and colour it takes a quarter of a second."""

    DEFAULT_CSS = "PlainFence { color: $foreground; }"

    @classmethod
    def highlight(cls, code: str, language: str, ansi: bool = False, dark: bool = False) -> Content:
        """The code, not coloured."""
        return Content(code)


class HarmlessMarkdown(Markdown):
    """Cleans text after it was parsed, since character references may stand for anything; opens no
    links."""

    BLOCKS = {  # noqa: RUF012 (not declared as the class's by Textual)
        **Markdown.BLOCKS,
        "fence": PlainFence,
        "code_block": PlainFence,
    }

    def __init__(self, markdown: str) -> None:
        super().__init__(markdown, parser_factory=_parser, open_links=False)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("gfm-like", {"linkify": False, "html": False})
    parser.core.ruler.push("clean", _clean)
    return parser


def _clean(state: StateCore) -> None:
    for token in state.tokens:
        token.content = clean_lines(token.content)
        for child in token.children or ():
            if child.type == "image":  # of two cells in some terminals, of one in others
                child.content = f"picture: {child.content} ({child.attrGet('src')})"
                child.type, child.children = "text", None
            child.content = clean(child.content.replace(_BREAK, ""))
