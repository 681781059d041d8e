"""The report in sections, its tables fitted to the room there is."""

from __future__ import annotations

from tui.readers.report import fitted, sections

TEXT = """# Title

before

## One \\[1\\]

#no heading

### Deeper

text
"""
TABLE = """above

| Rank | Text |
|---:|---|
| 1 | a \\| b |
| 2 | – |

below"""


def test_every_heading_begins_a_section() -> None:
    found = sections(TEXT)
    assert [(one.level, one.title) for one in found] == [
        (1, "Title"),
        (2, "One [1]"),
        (3, "Deeper"),
    ]
    assert "\n".join(one.markdown for one in found) == TEXT
    assert sections("no heading")[0].title == ""


def test_a_table_that_fits_stays() -> None:
    assert fitted(TABLE, 80) == TABLE


def test_a_table_that_does_not_fit_becomes_a_list() -> None:
    told = fitted(TABLE, 10)
    assert told == "above\n\n- **Rank** 1 · **Text** a \\| b\n- **Rank** 2\n\nbelow"
