"""What the demo's documents are written of: kinds of facts with their sentences, and filler."""

from __future__ import annotations

from dataclasses import dataclass


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

TAILS = (
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

FILLER_SUBJECTS = (
    "The old miller", "A quiet clerk", "The ferry", "A grey cat", "The mayor", "My aunt",
    "The night train", "A young carpenter", "The school", "An inspector", "The gardener",
    "A flock of geese", "The keeper", "A stranger", "The village choir", "The post coach",
)  # fmt: skip
FILLER_VERBS = (
    "waited for", "looked at", "asked about", "walked past", "talked of", "forgot", "remembered",
    "laughed at", "searched for", "paid for", "complained about", "dreamt of",
)  # fmt: skip
FILLER_OBJECTS = (
    "the broken gate", "a bowl of soup", "the morning fog", "an unpaid bill", "the last apples",
    "a letter without a stamp", "the new bridge", "an empty barrel", "the long winter",
    "a pair of boots", "the harvest", "a silver spoon", "the church bell", "a loaf of bread",
)  # fmt: skip
FILLER_ENDS = (
    "before the rain began", "on a Tuesday", "in the early evening", "without saying a word",
    "near the old well", "while the snow fell", "and then went home", "for the third time",
    "under a pale moon", "with great patience", "because of the wind", "at the edge of the wood",
)  # fmt: skip
