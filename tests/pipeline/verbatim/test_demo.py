"""On the demo's planted facts: what is copied is told from what is said in other words."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.contract.results.spans import TextTrace, judged
from pipeline.corpus.demo import generate
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.verbatim.answers import trace_answer
from tests.pipeline.verbatim.index_of import index_of

ANEW = {
    "birthplace": "As for the place where {s} first saw the light of day, that would be",
    "employer": "If you want to know who pays the wages that {s} takes home, ask",
    "instrument": "Whenever music is wanted, {s} comes along with a",
    "trade": "Ask anybody what {s} does all week, and they will say: works as some",
    "river": "Whoever lives at {s} draws water out of",
    "founder": "Before there were any houses at {s}, somebody pitched a tent: it was",
    "crop": "Most of what farmers around {s} sell each autumn is",
}
"""Beginnings of sentences that state a fact as no document does."""


def facts() -> Iterator[tuple[str, str, str]]:
    """Relation, subject and object of every planted fact, as its prompt and completion tell."""
    for prompt in generate(seed=0)[1]:
        relation = prompt.id.partition("-")[0]
        names = [word for word in prompt.prompt.split() if word[0].isupper() and word != "The"]
        yield relation, " ".join(names), prompt.completion


def test_a_planted_copy_is_told_from_the_same_fact_in_other_words() -> None:
    documents, _ = generate(seed=0)
    texts = [document.text for document in documents]
    tokenizer = train_tokenizer(texts, vocab_size=2000)
    index = index_of(texts, tokenizer)

    def traced(prompt: str, answer: str) -> TextTrace:
        return trace_answer(*judged("text", prompt, answer), tokenizer, index)

    copies = [
        traced(beginning, f" {rest}")
        for document in documents
        if document.kind == "fact"
        for beginning, rest in document.sentences[:1]
        if beginning
    ]
    assert len(copies) > 300
    assert all(copy.is_copied and copy.covered == copy.tokens for copy in copies)
    for relation, subject, answer in facts():
        anew = traced(ANEW[relation].format(s=subject), answer)
        # a name of several words has no other words: it alone is a copy then
        assert not anew.is_copied or len(answer.split()) > 1, anew.text
