"""What an example is called in a list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.contract.results.examples import source_label

if TYPE_CHECKING:
    from pipeline.contract.results.lookup import Example

_DIGEST = re.compile(r"[0-9a-f]{16}(?:-\d+)?(#\d+)?")
"""An id that was made of the text, of several equal ones, of a part of one."""


def example_name(example: Example) -> str:
    """Its id, `doc-12#1`; where that was made of its text and tells nobody anything, where it was
    read: `books.jsonl row 12#1`."""
    made = _DIGEST.fullmatch(example.id)
    return source_label(example.source, example.row) + (made[1] or "") if made else example.id
