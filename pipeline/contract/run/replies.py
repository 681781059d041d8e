"""What a person asks and what the worker replies, as values and as JSON.

Request:  the fields of `Query`
Replies:  {"type": "text", …}            `AnswerPart`, a piece of the model's answer
          {"type": "written", …}         `Written`, a conversation as the template writes it
          {"type": "answer_tokens", …}   `AnswerTokens`, how likely each token of the answer is
          {"type": "prompt_loss", …}     `PromptLoss`, the prompt beside the corpus
          {"type": "list", …}            `ExampleList`, first by the index, then exact
          {"type": "example_tokens", …}  `ExampleTokens`, one for each of the first examples
          {"type": "error", "message": str, "hint": str}
          {"type": "done"}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline.contract.errors import UsageError

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.prompts import Prompt


@dataclass(frozen=True)
class Query:
    """A prompt, and the completion to trace; None = the model's own greedy answer."""

    prompt: str
    completion: str | None = None
    top: int = 10
    instead: str | None = None
    """Another completion, to trace why the first rather than this one; None = the first alone."""

    def validated(self) -> Query:
        """Returns the query unchanged if it can be traced.

        Raises:
            UsageError: there is nothing to trace.
        """
        if not self.prompt.strip():
            raise UsageError("the prompt is empty", "write what the model is to go on from")
        if self.completion is not None and not self.completion.strip():
            raise UsageError(
                "the completion is empty", "leave it out to trace the model's own answer"
            )
        if self.instead is not None:
            self._check_instead(self.instead.strip())
        return self

    def as_prompt(self, is_chat: bool, name: str = "asked") -> Prompt:
        """The prompt, with the completion where one is given; `is_chat`: as what a user says."""
        from pipeline.contract.settings.prompts import Prompt

        prompt = Prompt(id=name, prompt=self.prompt)
        completion = self.completion
        if is_chat:
            prompt = Prompt.of_messages(name, [{"role": "user", "content": self.prompt}])
            completion = None if completion is None else completion.strip()
        if completion is not None:
            prompt = prompt.completed(completion)
        return prompt.model_copy(update={"instead": self.instead})

    def _check_instead(self, instead: str) -> None:
        if not instead:
            hint = "write the other completion, or leave it out to trace the answer alone"
            raise UsageError("the completion to set against is empty", hint)
        if self.completion is not None and self.completion.strip() == instead:
            hint = "a difference needs two: write another one, or leave it out"
            raise UsageError("the completion to set against is the completion itself", hint)


@dataclass(frozen=True)
class AskedExample:
    """An example behind an answer."""

    rank: int
    example_id: str
    """Begins with + where the text was added to the index: the model was not trained on it."""
    document_id: str
    chunk: int
    """0-based position in its document."""
    chunks: int
    text: str
    n_tokens: int
    duplicate_group: int
    """Its near-duplicates have the same; -1: none known."""
    source: str
    row: int
    score: float
    """As in the run's own ranking."""
    raw: float
    """Influence, not normalized."""


@dataclass(frozen=True)
class AnswerPart:
    """A piece of the model's answer."""

    text: str


@dataclass(frozen=True)
class Written:
    """The question as the model's chat template writes it; of runs on conversations only."""

    text: str


@dataclass(frozen=True)
class AnswerTokens:
    """The tokens that are traced, and the model's probability of each, given those before it."""

    tokens: Sequence[str]
    """Put together, they are the answer's text."""
    probabilities: Sequence[float]
    """Between 0 and 1; at temperature 1."""


@dataclass(frozen=True)
class PromptLoss:
    """How likely the model finds the prompt itself, beside texts of the corpus."""

    loss: float
    """Mean over the prompt's tokens, nats."""
    tokens: int
    """Tokens that were predicted, in the prompt and in each text: from the second one on."""
    higher_than: float
    """Share of the texts whose loss over as many of their first tokens is lower."""
    texts: int
    held_out: bool
    """Whether the texts are held out; else the model was trained on them."""
    by_frequencies: float | None = None
    """Loss of held-out text by the frequencies of the training tokens alone, nats a token; None
    where it is not known."""

    @property
    def is_unlike(self) -> bool:
        """Whether what the model has learnt of the corpus helps with this prompt less than the
        frequencies of its tokens do: a prompt in its manner is far below that."""
        return self.by_frequencies is not None and self.loss > self.by_frequencies

    def described(self) -> str:
        """`the model's loss on this prompt, 5.31 nats a token, is higher than on 89% of …`; of one
        that is unlike the corpus, that comes first."""
        kind = "held-out" if self.held_out else "training"
        unlike = "unlike the corpus: " if self.is_unlike else ""
        return (
            f"{unlike}the model's loss on this prompt, {self.loss:.2f} nats a token, is higher "
            f"than on {self.higher_than:.0%} of {self.texts:,} {kind} texts (of each the first "
            f"{self.tokens + 1} tokens)"
        )


NOT_COMPARABLE = "scores of two prompts do not compare: each prompt has a scale of its own"


@dataclass(frozen=True)
class ExampleList:
    """The examples behind the answer: first by the index, then exact."""

    exact: bool
    rows: tuple[AskedExample, ...]
    scored: int
    """Examples that have a score of this kind, of which the rows are the best."""
    examples: int
    """All that are indexed."""
    taught: bool | None = None
    """Whether the training examples taught the answer, by the index's scores of all of them; see
    `results/origin.py`."""


@dataclass(frozen=True)
class ExampleTokens:
    """What predicting each token of one of the first examples adds to its raw score."""

    example_id: str
    tokens: Sequence[str]
    """Put together, they are the example's text."""
    scores: Sequence[float]
    """Of predicting each token; the first is predicted by none and has 0."""
    labelled: Sequence[bool] | None
    """Which tokens carry loss; None = all but the first, as in plain text."""


Reply = AnswerPart | Written | AnswerTokens | PromptLoss | ExampleList | ExampleTokens
_KINDS: dict[str, type[Reply]] = {
    "text": AnswerPart,
    "written": Written,
    "answer_tokens": AnswerTokens,
    "prompt_loss": PromptLoss,
    "list": ExampleList,
    "example_tokens": ExampleTokens,
}


def reply_json(reply: Reply) -> dict[str, object]:
    """A reply as it goes over the socket."""
    kind = next(name for name, kind in _KINDS.items() if isinstance(reply, kind))
    return {"type": kind, **asdict(reply)}


def reply_of(value: Any) -> Reply:
    """The same back.

    Raises:
        ValueError: a worker of another version wrote it.
    """
    try:
        fields = dict(value)
        kind = _KINDS[fields.pop("type")]
        if kind is ExampleList:
            fields["rows"] = tuple(AskedExample(**row) for row in fields["rows"])
        return kind(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError("it speaks another version's language") from error
