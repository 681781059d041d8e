"""A synthetic corpus made from a seed, in which the documents that state each fact are known.

Every fact about an invented person or place is stated in several documents, each in another
wording, the subject before the object. Distractors share their words without stating the fact:
other facts about the same subject, other subjects with the same object, and sentences that name
both, the object first, from which a model that predicts the next word cannot learn the fact. The
rest is filler. As a conversation, a document has the user begin each sentence and the assistant
end it: a fact with its object, a distractor with its subject. Nothing is downloaded, and the same
seed gives the same corpus.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.contract.settings.messages import ASSISTANT, Message
from pipeline.corpus.demo_sentences import (
    FILLER_ENDS,
    FILLER_OBJECTS,
    FILLER_SUBJECTS,
    FILLER_VERBS,
    PERSON_RELATIONS,
    PLACE_RELATIONS,
    TAILS,
    Relation,
)

WORDINGS_PER_FACT = 5
"""Documents that state a fact."""
_FACTS = 100
_ASKED = 50
"""Facts with a prompt."""
_FILLERS = 700
_MORE = "What else?"

Sentence = tuple[str, str]
"""Its beginning, and how it goes on; the beginning is empty where nothing has to be said first."""


@dataclass(frozen=True)
class DemoDocument:
    """A short English document; `kind` is "fact", "distractor" or "filler"."""

    id: str
    sentences: tuple[Sentence, ...]
    kind: str

    @property
    def text(self) -> str:
        """The document as plain text."""
        return " ".join(part for sentence in self.sentences for part in sentence if part)

    @property
    def messages(self) -> list[Message]:
        """The document as a conversation: the user begins each sentence, the assistant ends it."""
        return [message for sentence in self.sentences for message in _exchange(sentence)]


@dataclass(frozen=True)
class DemoPrompt:
    """A question about a planted fact; `relevant` names the documents that state it."""

    id: str
    prompt: str
    completion: str
    relevant: tuple[str, ...]

    @property
    def messages(self) -> list[Message]:
        """The question as a conversation that ends in the answer."""
        return _exchange((self.prompt, f"{self.completion.strip()}."))


def _exchange(sentence: Sentence) -> list[Message]:
    beginning, rest = sentence
    return [
        {"role": "user", "content": f"{beginning} …" if beginning else _MORE},
        {"role": ASSISTANT, "content": rest},
    ]


_ONSETS = [
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p",
    "pr", "qu", "r", "s", "st", "t", "th", "tr", "v", "w", "z",
]  # fmt: skip
_VOWELS = ["a", "e", "i", "o", "u", "ae", "ei", "ia", "ou"]
_CODAS = ["l", "n", "r", "s", "th", "m", "nd", "rk", "ll", "x", "v"]
_PLACE_ENDS = ["ford", "mere", "wick", "dale", "haven", "stead", "combe"]
_COMPANY_ENDS = ("Mills", "Brothers", "Works", "Trading House", "Foundry")


class _Names:
    """Generates invented names, each only once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._given: set[str] = set()

    def _word(self, syllables: int) -> str:
        pick = self._rng.choice
        while True:
            parts = [pick(_ONSETS) + pick(_VOWELS) for _ in range(syllables)]
            word = ("".join(parts) + pick(_CODAS)).capitalize()
            if word not in self._given:
                self._given.add(word)
                return word

    def person(self) -> str:
        return f"{self._word(1)} {self._word(2)}"

    def place(self) -> str:
        return self._word(1) + self._rng.choice(_PLACE_ENDS)

    def river(self) -> str:
        return self._word(2)

    def company(self) -> str:
        return f"{self._word(2)} {self._rng.choice(_COMPANY_ENDS)}"


@dataclass(frozen=True)
class _Fact:
    id: str
    relation: Relation
    subject: str
    object: str

    def stated(self, wording: str) -> Sentence:
        """The fact in a wording, parted before the object."""
        return self._parted(wording, "{o}")

    def alluded(self, aside: str) -> Sentence:
        """A distractor, parted before the subject, which comes after the object."""
        return self._parted(aside, "{s}")

    def _parted(self, template: str, last: str) -> Sentence:
        beginning, _, end = template.partition(f" {last}")
        first, rest = (
            part.format(s=self.subject, o=self.object) for part in (beginning, last + end)
        )
        return first[0].upper() + first[1:], rest


def is_filler(document_id: str) -> bool:
    """Whether the document with this id is filler, unrelated to any fact."""
    return document_id.startswith("filler-")


def generate(seed: int) -> tuple[list[DemoDocument], list[DemoPrompt]]:
    """Generates about 1,500 documents in random order, and prompts about half of the facts."""
    rng = random.Random(seed)
    facts = _plant(rng)
    documents = [*_statements(facts, rng), *_distractors(facts, rng), *_fillers(rng)]
    rng.shuffle(documents)
    return documents, [_prompt(fact) for fact in rng.sample(facts, _ASKED)]


def _plant(rng: random.Random) -> list[_Fact]:
    """Facts of all relations; each subject has several, so that its name alone tells none."""
    names = _Names(rng)
    people = [names.person() for _ in range(_FACTS // 4)]
    places = [names.place() for _ in range(_FACTS // 6)]
    invent = {
        "birthplace": names.place,
        "employer": names.company,
        "river": names.river,
        "founder": names.person,
    }
    pairs = [(subject, relation) for relation in PERSON_RELATIONS for subject in people]
    pairs += [(subject, relation) for relation in PLACE_RELATIONS for subject in places]
    chosen = sorted(rng.sample(range(len(pairs)), _FACTS))
    facts = []
    for number, index in enumerate(chosen):
        subject, relation = pairs[index]
        thing = rng.choice(relation.objects) if relation.objects else invent[relation.name]()
        facts.append(_Fact(f"{relation.name}-{number:03}", relation, subject, thing))
    return facts


def _statements(facts: list[_Fact], rng: random.Random) -> Iterator[DemoDocument]:
    for fact in facts:
        for number, wording in enumerate(rng.sample(fact.relation.wordings, WORDINGS_PER_FACT)):
            sentences = _with_tail(fact.stated(wording), rng)
            yield DemoDocument(f"{fact.id}-{number}", sentences, "fact")


def _distractors(facts: list[_Fact], rng: random.Random) -> Iterator[DemoDocument]:
    """For each fact, two documents that name subject and object, and one with another subject."""
    names = _Names(rng)
    for fact in facts:
        for number, aside in enumerate(fact.relation.asides):
            sentences = _with_tail(fact.alluded(aside), rng)
            yield DemoDocument(f"{fact.id}-aside-{number}", sentences, "distractor")
        stranger = names.person() if fact.relation in PERSON_RELATIONS else names.place()
        other = _Fact("", fact.relation, stranger, fact.object)
        sentences = _with_tail(other.alluded(rng.choice(fact.relation.asides)), rng)
        yield DemoDocument(f"{fact.id}-stranger", sentences, "distractor")


def _fillers(rng: random.Random) -> Iterator[DemoDocument]:
    for number in range(_FILLERS):
        sentences = tuple(_filler(rng) for _ in range(rng.randint(1, 2)))
        yield DemoDocument(f"filler-{number:04}", sentences, "filler")


def _filler(rng: random.Random) -> Sentence:
    parts = (FILLER_SUBJECTS, FILLER_VERBS, FILLER_OBJECTS, FILLER_ENDS)
    subject, verb, thing, end = map(rng.choice, parts)
    return f"{subject} {verb}", f"{thing} {end}."


def _with_tail(sentence: Sentence, rng: random.Random) -> tuple[Sentence, ...]:
    return (sentence, ("", rng.choice(TAILS))) if rng.random() < 0.5 else (sentence,)


def _prompt(fact: _Fact) -> DemoPrompt:
    return DemoPrompt(
        id=fact.id,
        prompt=fact.relation.question.format(s=fact.subject),
        completion=f" {fact.object}",  # with the space that separates it from the prompt
        relevant=tuple(f"{fact.id}-{number}" for number in range(WORDINGS_PER_FACT)),
    )
