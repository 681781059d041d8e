"""What a worker would say, for pictures and for hostile text: the model's own process says no such
thing on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.contract.run.replies import (
    AnswerPart,
    AnswerTokens,
    AskedExample,
    ExampleList,
    ExampleTokens,
    PromptLoss,
    Query,
    Reply,
    Written,
)


class FrozenAnswerer:
    """Says what a worker would say of Mara Voss, the first lists of it."""

    def __init__(self, lists: int = 2, hostile: str = "", written: str = "") -> None:
        self._lists, self._hostile, self._written = lists, hostile, written

    def warm(self, say: Callable[[str], object]) -> None:
        say("loading the model")

    def abandon(self) -> None: ...

    def close(self) -> None: ...

    def replies(self, question: Query) -> Iterator[Reply]:
        if self._written:
            yield Written(self._written)
        yield from map(AnswerPart, (" Tellin,", " by the quay.", self._hostile))
        yield AnswerTokens(
            (" Tell", "in", ",", " by", " the", " quay", f".{self._hostile}"),
            (0.62, 0.998, 0.45, 0.08, 0.91, 0.003, 0.7),
        )
        yield PromptLoss(3.2, 4, 0.57, 200, held_out=True)
        for exact in (False, True)[: self._lists]:
            rows = (_asked(rank, exact, self._hostile) for rank in range(1, 51))
            yield ExampleList(exact, tuple(rows), scored=1000 if exact else 1425, examples=1425)
        if self._lists == 2:
            yield ExampleTokens(
                f"doc-0001{self._hostile}", ("Everyone", " in", " Tellin"), (0.0, -0.4, 3.0), None
            )


def _asked(rank: int, exact: bool, hostile: str) -> AskedExample:
    return AskedExample(
        rank=rank,
        example_id=f"doc-{rank:04d}{hostile}",
        document_id=f"doc-{rank:04d}{hostile}",
        chunk=0,
        chunks=1,
        n_tokens=12 + rank,
        duplicate_group=-1,
        text=f"Everyone in Tellin remembers Mara Voss, who left at {18 + rank}.{hostile}",
        source=f"/far/away/parish.jsonl{hostile}",
        row=rank,
        score=0.3 / rank - 0.02 * exact,
        raw=96.0 / rank,
    )
