"""The report in sections, and a section in its blocks."""

from __future__ import annotations

from tui.readers.report import Grid, Picture, Prose, blocks, sections

TEXT = """# Title

before

## One \\[1\\]

#no heading

### Deeper

text
"""
SECTION = """### Oda\\_1

before

| Rank | Text | kfac\\_normalized |
|---:|---|---:|
| ★ 1 | a \\| b &lt;i&gt; http://&#8203;a.b | 7 |
| 2 | – |

![Loss by step](figures/loss.svg)

after"""


def test_every_heading_begins_a_section() -> None:
    found = sections(TEXT)
    assert [(one.level, one.title) for one in found] == [
        (1, "Title"),
        (2, "One [1]"),
        (3, "Deeper"),
    ]
    assert "\n".join(one.markdown for one in found) == TEXT
    assert sections("no heading")[0].title == ""


def test_a_section_is_prose_tables_and_pictures_in_their_order() -> None:
    before, table, picture, after = blocks(SECTION)
    assert before == Prose("### Oda\\_1\n\nbefore")
    assert picture == Picture("figures/loss.svg", "Loss by step")
    assert after == Prose("after")
    assert isinstance(table, Grid)
    assert table.head == ("Rank", "Text", "kfac_normalized")
    assert table.right == (True, False, True)
    assert table.rows == (("★ 1", "a | b <i> http://a.b", "7"), ("2", "–", ""))


def test_what_only_looks_like_a_table_is_prose() -> None:
    assert blocks("| a | b |\nno rule") == [Prose("| a | b |\nno rule")]
    assert blocks("") == []
