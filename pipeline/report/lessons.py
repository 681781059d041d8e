"""What the table of rankings teaches, in sentences that its own figures bear out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.contract.results.scores import (
    BM25,
    IDENTITY,
    Retrieval,
    normalized_name,
    strategy_of,
)

Evaluation = Mapping[str, Retrieval]

_CLOSE = 0.02  # MRR differences up to this are called equal


def lessons(evaluation: Evaluation, default: str) -> list[str]:
    """Two to five sentences; none where nothing was evaluated."""
    return list(_sentences(evaluation, default)) if evaluation else []


def _sentences(table: Evaluation, default: str) -> Iterator[str]:
    best = max(table, key=lambda name: (table[name].mrr, table[name].recall))
    yield f"{best} ranks best, with an MRR of {table[best].mrr:.2f}."
    if default in table and default != best:
        gap = table[best].mrr - table[default].mrr
        how = "as good within 0.02" if gap <= _CLOSE else f"{gap:.2f} MRR behind it"
        yield f"The default ranking, {default}, is {how}."
    if strategy := strategy_of(default):
        yield from _normalisation(table, strategy)
    yield from _against(
        table, default, IDENTITY,
        better="so the curvature earns its cost here",
        worse="so the curvature brings nothing here",
    )  # fmt: skip
    yield from _against(
        table, default, BM25,
        better="so influence finds more here than shared words do",
        worse="so shared words alone would have found these documents",
    )  # fmt: skip


def _normalisation(table: Evaluation, strategy: str) -> Iterator[str]:
    normalized = normalized_name(strategy)
    if strategy not in table or normalized not in table:
        return
    raw, divided = table[strategy].mrr, table[normalized].mrr
    if divided > raw + _CLOSE:
        effect = "long or unusual examples crowd the top of the raw scores"
    elif divided < raw - _CLOSE:
        effect = "on this corpus the division hurts"
    else:
        effect = "on this corpus it makes no difference"
    change = f"takes MRR from {raw:.2f} to {divided:.2f}"
    yield f"Dividing {strategy} by √self-influence {change}: {effect}."


def _against(table: Evaluation, default: str, other: str, better: str, worse: str) -> Iterator[str]:
    if default not in table or other not in table or other == default:
        return
    ours, theirs = table[default].mrr, table[other].mrr
    verdict = better if ours > theirs + _CLOSE else worse
    yield f"{other} reaches MRR {theirs:.2f} against {ours:.2f}, {verdict}."
