"""The report's Markdown as a terminal shows it."""

from __future__ import annotations

from pipeline.report.text import count
from tui.widgets.harmless_markdown import _parser


def shown(markdown: str) -> list[str]:
    """The texts of what was parsed."""
    tokens = _parser().parse(markdown)
    return [child.content for token in tokens for child in token.children or ()]


def test_a_number_is_written_as_elsewhere_and_never_broken() -> None:
    assert shown(f"{count(1_234_825_088)} parameters") == ["1,234,825,088 parameters"]
    table = f"| n |\n|--:|\n| {count(1030)} |"
    assert shown(table) == ["n", "1,030"]
