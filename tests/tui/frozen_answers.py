"""What a worker would say, for pictures and for hostile text: the model's own process says no such
thing on demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.contract.run.asking import Query, Reply


class FrozenAnswerer:
    """Says what a worker would say of Mara Voss, the first lists of it."""

    def __init__(self, lists: int = 2, hostile: str = "") -> None:
        self._lists, self._hostile = lists, hostile

    def warm(self) -> None: ...

    def abandon(self) -> None: ...

    def close(self) -> None: ...

    def replies(self, question: Query) -> Iterator[Reply]:
        yield from (
            {"type": "text", "text": text} for text in (" Tellin,", " by the quay.", self._hostile)
        )
        for exact in (False, True)[: self._lists]:
            rows = [_asked(rank, exact, self._hostile) for rank in range(1, 51)]
            yield {"type": "list", "exact": exact, "rows": rows}


def _asked(rank: int, exact: bool, hostile: str) -> dict[str, Any]:
    return {
        "rank": rank,
        "example_id": f"doc-{rank:04d}{hostile}",
        "document_id": f"doc-{rank:04d}{hostile}",
        "score": 0.3 / rank - 0.02 * exact,
        "raw": 96.0 / rank,
        "source": f"/far/away/parish.jsonl{hostile}",
        "row": rank,
        "text": f"Everyone in Tellin remembers Mara Voss, who left at {18 + rank}.{hostile}",
    }
