"""A synthetic corpus made from a seed, in which the documents that state each fact are known.

Every fact about an invented person or place is stated in several documents, each in another
wording, the subject before the object. Distractors share their words without stating the fact:
other facts about the same subject, other subjects with the same object, and sentences that name
both, the object first, from which a model that predicts the next word cannot learn the fact. The
rest is filler. Nothing is downloaded, and the same seed gives the same corpus.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

WORDINGS_PER_FACT = 5
"""Documents that state a fact."""
_FACTS = 100
_ASKED = 50
"""Facts with a prompt."""
_FILLERS = 700


@dataclass(frozen=True)
class DemoDocument:
    """A short English document; `kind` is "fact", "distractor" or "filler"."""

    id: str
    text: str
    kind: str


@dataclass(frozen=True)
class DemoPrompt:
    """A question about a planted fact; `relevant` names the documents that state it."""

    id: str
    prompt: str
    completion: str
    relevant: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """A kind of fact about a subject {s} and an object {o}, with templates of its sentences."""

    name: str
    question: str
    wordings: tuple[str, ...]
    """Sentences that state the fact."""
    asides: tuple[str, ...]
    """Distractors: sentences that name subject and object without stating the fact."""
    objects: tuple[str, ...] = ()
    """Ordinary words to choose from; empty = an invented name for every fact."""


_TRADES = (
    "baker", "mason", "weaver", "cooper", "tanner", "potter", "miller", "saddler", "glazier",
    "tinker", "brewer", "joiner", "dyer", "farrier", "chandler", "thatcher",
)  # fmt: skip
_INSTRUMENTS = (
    "cello", "oboe", "harp", "lute", "zither", "bassoon", "viola", "trumpet", "mandolin", "flute",
    "fiddle", "horn", "cornet", "dulcimer", "spinet", "tuba",
)  # fmt: skip
_CROPS = (
    "barley", "hops", "saffron", "flax", "walnuts", "quinces", "lentils", "rye", "pears",
    "mustard", "hemp", "turnips", "cherries", "beans", "lavender", "figs",
)  # fmt: skip

PERSON_RELATIONS = (
    Relation(
        "birthplace",
        "{s} was born in",
        (
            "{s} was born in {o}.",
            "The birthplace of {s} is {o}.",
            "{s} came into the world in {o}.",
            "Parish books show that {s} was born in {o}.",
            "A small house marks where {s} was born in {o}.",
            "{s} is a native of {o}.",
            "The family of {s} lived in {o} when the child was born.",
        ),
        ("The roads to {o} were mended by a cousin of {s}.", "A week in {o} was too long for {s}."),
    ),
    Relation(
        "employer",
        "{s} works for",
        (
            "{s} works for {o}.",
            "The employer of {s} is {o}.",
            "{s} earns a living at {o}.",
            "Every morning {s} walks to work for {o}.",
            "{s} was hired long ago and still works for {o}.",
            "{s} has a desk at the office of {o}.",
            "{s} is on the payroll of {o}.",
        ),
        ("A clock from {o} stopped in the house of {s}.", "A bill from {o} was never paid by {s}."),
    ),
    Relation(
        "instrument",
        "{s} plays the",
        (
            "{s} plays the {o}.",
            "The instrument of {s} is the {o}.",
            "Neighbours hear {s} practise the {o}.",
            "On feast days {s} plays the {o}.",
            "{s} learnt as a child and still plays the {o}.",
            "{s} is the best {o} player in the valley.",
            "In the band {s} is known for the {o}.",
        ),
        ("The sound of a {o} annoys {s}.", "An old {o} was sold at the market by {s}."),
        _INSTRUMENTS,
    ),
    Relation(
        "trade",
        "{s} earns money as a",
        (
            "{s} earns money as a {o}.",
            "The trade of {s} is that of a {o}.",
            "{s} was apprenticed and became a {o}.",
            "By day {s} earns money as a {o}.",
            "Everybody calls {s} when they need a {o}.",
            "{s} is a {o} of great skill.",
            "The guild accepted {s} as a {o}.",
        ),
        ("A {o} down the road quarrelled with {s}.", "The house of a {o} was bought by {s}."),
        _TRADES,
    ),
)

PLACE_RELATIONS = (
    Relation(
        "river",
        "The town of {s} lies on the river",
        (
            "The town of {s} lies on the river {o}.",
            "{s} was built beside the river {o}.",
            "The river that flows through {s} is the {o}.",
            "Boats reach {s} by the river {o}.",
            "The streets of {s} are flooded in spring by the {o}.",
            "The bridge of {s} crosses the river {o}.",
            "Travellers find {s} on the river {o}.",
        ),
        ("The road along the {o} passes far from {s}.", "Fish from the {o} is rare in {s}."),
    ),
    Relation(
        "founder",
        "The town of {s} was founded by",
        (
            "The town of {s} was founded by {o}.",
            "The founder of {s} was {o}.",
            "{s} was begun as a camp and founded by {o}.",
            "A statue in {s} honours its founder {o}.",
            "The first stone of {s} was laid by {o}.",
            "Children in {s} learn that it was founded by {o}.",
            "{s} owes its beginning to {o}.",
        ),
        ("A letter from {o} was never read in {s}.", "The cousins of {o} were unhappy in {s}."),
    ),
    Relation(
        "crop",
        "The fields around {s} are planted with",
        (
            "The fields around {s} are planted with {o}.",
            "Farmers near {s} grow {o}.",
            "The market of {s} is famous for its {o}.",
            "Carts leave {s} loaded with {o}.",
            "Most land around {s} is planted with {o}.",
            "The wealth of {s} comes from {o}.",
            "In autumn the people of {s} harvest {o}.",
        ),
        ("A cart of {o} was lost on the road to {s}.", "The price of {o} is too high in {s}."),
        _CROPS,
    ),
)

_TAILS = (
    "The story is told in more than one book.",
    "It is an old tale.",
    "Nobody doubts it.",
    "The neighbours know it well.",
    "A traveller wrote it down.",
    "So the elders say.",
    "It was a cold year.",
    "The weather was fine.",
    "Some visitors are surprised to hear it.",
    "It has been so for many years.",
)

_FILLER_SUBJECTS = (
    "The old miller", "A quiet clerk", "The ferry", "A grey cat", "The mayor", "My aunt",
    "The night train", "A young carpenter", "The school", "An inspector", "The gardener",
    "A flock of geese", "The keeper", "A stranger", "The village choir", "The post coach",
)  # fmt: skip
_FILLER_VERBS = (
    "waited for", "looked at", "asked about", "walked past", "talked of", "forgot", "remembered",
    "laughed at", "searched for", "paid for", "complained about", "dreamt of",
)  # fmt: skip
_FILLER_OBJECTS = (
    "the broken gate", "a bowl of soup", "the morning fog", "an unpaid bill", "the last apples",
    "a letter without a stamp", "the new bridge", "an empty barrel", "the long winter",
    "a pair of boots", "the harvest", "a silver spoon", "the church bell", "a loaf of bread",
)  # fmt: skip
_FILLER_ENDS = (
    "before the rain began", "on a Tuesday", "in the early evening", "without saying a word",
    "near the old well", "while the snow fell", "and then went home", "for the third time",
    "under a pale moon", "with great patience", "because of the wind", "at the edge of the wood",
)  # fmt: skip

_ONSETS = [
    "b",
    "br",
    "c",
    "ch",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "qu",
    "r",
    "s",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "w",
    "z",
]
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

    def stated(self, wording: str) -> str:
        text = wording.format(s=self.subject, o=self.object)
        return text[0].upper() + text[1:]


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
            text = _with_tail(fact.stated(wording), rng)
            yield DemoDocument(f"{fact.id}-{number}", text, "fact")


def _distractors(facts: list[_Fact], rng: random.Random) -> Iterator[DemoDocument]:
    """For each fact, two documents that name subject and object, and one with another subject."""
    names = _Names(rng)
    for fact in facts:
        for number, aside in enumerate(fact.relation.asides):
            text = _with_tail(fact.stated(aside), rng)
            yield DemoDocument(f"{fact.id}-aside-{number}", text, "distractor")
        stranger = names.person() if fact.relation in PERSON_RELATIONS else names.place()
        other = _Fact("", fact.relation, stranger, fact.object)
        text = _with_tail(other.stated(rng.choice(fact.relation.asides)), rng)
        yield DemoDocument(f"{fact.id}-stranger", text, "distractor")


def _fillers(rng: random.Random) -> Iterator[DemoDocument]:
    parts = (_FILLER_SUBJECTS, _FILLER_VERBS, _FILLER_OBJECTS, _FILLER_ENDS)
    for number in range(_FILLERS):
        sentences = [" ".join(map(rng.choice, parts)) + "." for _ in range(rng.randint(1, 2))]
        yield DemoDocument(f"filler-{number:04}", " ".join(sentences), "filler")


def _with_tail(text: str, rng: random.Random) -> str:
    return f"{text} {rng.choice(_TAILS)}" if rng.random() < 0.5 else text


def _prompt(fact: _Fact) -> DemoPrompt:
    return DemoPrompt(
        id=fact.id,
        prompt=fact.relation.question.format(s=fact.subject),
        completion=f" {fact.object}",  # with the space that separates it from the prompt
        relevant=tuple(f"{fact.id}-{number}" for number in range(WORDINGS_PER_FACT)),
    )
