"""How near a text comes to the expected one, by the field's own libraries."""

from __future__ import annotations

import zlib
from collections import Counter

from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import Tokenizer
from sacrebleu.metrics import BLEU, CHRF

from pipeline.contract.results.evaluation import Oddity
from pipeline.contract.words import answer_words, rouge_words

_REPETITIVE = 0.35
"""A text that deflate shrinks to less than this share repeats itself."""
_SHORTEST_REPETITION = 80


class _AnyScript(Tokenizer):  # type: ignore[misc]
    """Splits texts for ROUGE; the library's own tokenizer drops all letters but a to z."""

    def tokenize(self, text: str) -> list[str]:
        return rouge_words(text)


class TextMetrics:
    """Scores single texts; sentence-level BLEU is smoothed, as sacrebleu does it by default."""

    def __init__(self) -> None:
        self._bleu = {
            f"bleu{order}" if order < 4 else "bleu": BLEU(
                max_ngram_order=order, effective_order=True
            )
            for order in (1, 2, 4)
        }
        self._chrf = CHRF()
        self._rouge = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=_AnyScript())

    def score(self, text: str, expected: str) -> dict[str, float]:
        """Every metric of the contract's `METRICS` that applies.

        Those that count words need an expected text with words: of "🙂" or "?!" there are none.
        """
        text, expected = text.strip(), expected.strip()
        scores = {
            name: bleu.sentence_score(text, [expected]).score / 100
            for name, bleu in self._bleu.items()
        }
        scores["chrf"] = self._chrf.sentence_score(text, [expected]).score / 100
        if not rouge_words(expected):
            return scores | {"exact": float(text == expected)}
        rouge = self._rouge.score(expected, text)
        scores |= {name: float(one.fmeasure) for name, one in rouge.items()}
        ours, theirs = answer_words(text), answer_words(expected)
        return scores | {"exact": float(ours == theirs), "f1": _f1(ours, theirs)}

    def signatures(self) -> dict[str, str]:
        """sacrebleu's account of each of its metrics; set once something was scored."""
        kinds = {**self._bleu, "chrf": self._chrf}
        return {name: str(metric.get_signature()) for name, metric in kinds.items()}


def oddity(text: str) -> Oddity:
    """What makes a text no proper answer."""
    if not text.strip():
        return "empty"
    raw = text.encode("utf-8", "replace")
    shrunk = len(zlib.compress(raw)) / len(raw)
    return "repetitive" if len(raw) >= _SHORTEST_REPETITION and shrunk < _REPETITIVE else ""


def _f1(ours: list[str], theirs: list[str]) -> float:
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else float(ours == theirs)
