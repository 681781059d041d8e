"""One training example in full: its text, its tokens, its standing under every method."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tui.keys import Scope, bindings
from tui.readers.clean import clean
from tui.readers.format import score
from tui.readers.rankings import Answer, End, Ranked, RankingReader, TokenScores
from tui.screens.base import View
from tui.widgets.answer_line import answer_text
from tui.widgets.banner import Banner
from tui.widgets.example_text import plain_text, token_text
from tui.widgets.key_bar import KeyBar
from tui.widgets.scrolling import TextPane

_LEGEND = "⁺ adds to the score, ⁻ takes from it, doubled where strong"
_NO_TOKENS = "no token scores: only the first examples of the default method have them"


class ExampleScreen(View[int]):
    """Gives back the place of the example that was read last."""

    SCOPE: ClassVar[Scope] = "example"
    BINDINGS: ClassVar[list[BindingType]] = bindings("example")

    index: reactive[int] = reactive(0, init=False)
    by_token: reactive[bool] = reactive(True, init=False)

    def __init__(
        self,
        reader: RankingReader,
        answer: Answer,
        method: str,
        examples: tuple[Ranked, ...],
        index: int,
    ) -> None:
        super().__init__()
        self._reader = reader
        self._answer = answer
        self._method = method
        self._examples = examples
        self.set_reactive(ExampleScreen.index, index)

    def compose(self) -> ComposeResult:
        """The prompt above, the text in the middle, figures beside or below it."""
        yield Banner()
        yield Static(answer_text(self._answer), id="answer")
        with Container(id="detail"):
            with TextPane(id="text"):
                yield Static(id="body")
            with TextPane(id="facts"):
                yield Static(id="figures")
        yield KeyBar()

    def on_mount(self) -> None:
        """Shows the example."""
        self.query_one("#facts").border_title = "Scores"
        self._show()

    def watch_index(self) -> None:
        """Another example."""
        self.query_one("#text", TextPane).scroll_home(animate=False)
        self._show()

    def watch_by_token(self) -> None:
        """Tokens shown or hidden."""
        self._show()

    def action_step(self, step: int) -> None:
        """The next example, or the one before."""
        self.index = max(0, min(len(self._examples) - 1, self.index + step))

    def action_tokens(self) -> None:
        """Shows or hides what each token adds."""
        self.by_token = not self.by_token

    def action_leave(self) -> None:
        """Back to the ranking."""
        self.dismiss(self.index)

    @work(exclusive=True)
    async def _show(self) -> None:
        example = self._examples[self.index]
        chosen = (self._answer.id, example.example_id)
        tokens = await asyncio.to_thread(self._reader.tokens, *chosen)
        places = await asyncio.to_thread(self._reader.places, *chosen)
        with self.unless_closed():
            self._show_text(example, tokens)
            self.query_one("#figures", Static).update(_figures(example, places, self._method))
            place = f"{self.index + 1} of {len(self._examples)} by {self._method}"
            self.query_one(Banner).trail = ("influence", clean(self._answer.id), place)

    def _show_text(self, example: Ranked, tokens: TokenScores | None) -> None:
        pane = self.query_one("#text", TextPane)
        pane.border_title = Content(clean(example.example_id, 60))
        marked = tokens is not None and self.by_token
        legend = _LEGEND if marked else "" if tokens else _NO_TOKENS
        pane.border_subtitle = legend
        text = token_text(tokens) if tokens and self.by_token else plain_text(example.text)
        self.query_one("#body", Static).update(text)


def _figures(example: Ranked, places: dict[str, tuple[End, int]], method: str) -> Content:
    """Where the example comes from, and its score and rank under every method."""
    width = max([len("method"), *(len(name) for name in example.scores)])
    heading = f"{'method':<{width}} {'score':>11}  rank"
    lines = [_origin(example), Content(), Content.styled(heading, "$secondary")]
    for name, value in example.scores.items():
        end, rank = places.get(name, ("", 0))
        figure = score(value) if value is not None else "–"
        line = f"{clean(name):<{width}} {figure:>11}  {f'{end} {rank}' if end else '–'}"
        lines.append(Content.styled(line, "bold $accent" if name == method else ""))
    return Content("\n").join(lines)


def _origin(example: Ranked) -> Content:
    """Its document; its length, near-duplicates and, where that is known, whether it is right."""
    document = clean(example.document_id, 200)
    if example.chunks > 1:
        document += f", chunk {example.chunk + 1} of {example.chunks}"
    facts = [f"{example.n_tokens} tokens"]
    if example.duplicate_group >= 0:
        facts.append(f"group {example.duplicate_group}")
    if example.relevant:
        facts.append("★ states the answer")
    return Content(f"{document}\n{' · '.join(facts)}")
