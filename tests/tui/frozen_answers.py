"""What a worker would say, for pictures and for hostile text: the model's own process says no such
thing on demand."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.contract.run.asking import (
    AnswerPart,
    AskedExample,
    ExampleList,
    Query,
    Reply,
    Written,
)


class FrozenAnswerer:
    """Says what a worker would say of Mara Voss, the first lists of it."""

    def __init__(self, lists: int = 2, hostile: str = "", written: str = "") -> None:
        self._lists, self._hostile, self._written = lists, hostile, written

    def warm(self) -> None: ...

    def abandon(self) -> None: ...

    def close(self) -> None: ...

    def replies(self, question: Query) -> Iterator[Reply]:
        if self._written:
            yield Written(self._written)
        yield from map(AnswerPart, (" Tellin,", " by the quay.", self._hostile))
        for exact in (False, True)[: self._lists]:
            rows = (_asked(rank, exact, self._hostile) for rank in range(1, 51))
            yield ExampleList(exact, tuple(rows))


def _asked(rank: int, exact: bool, hostile: str) -> AskedExample:
    return AskedExample(
        rank=rank,
        example_id=f"doc-{rank:04d}{hostile}",
        document_id=f"doc-{rank:04d}{hostile}",
        text=f"Everyone in Tellin remembers Mara Voss, who left at {18 + rank}.{hostile}",
        source=f"/far/away/parish.jsonl{hostile}",
        row=rank,
        score=0.3 / rank - 0.02 * exact,
        raw=96.0 / rank,
    )
