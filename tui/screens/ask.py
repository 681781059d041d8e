"""A new prompt: the model's answer as it is written, then the examples that taught it."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from pipeline.contract.errors import CancelledError, HeadwaterError
from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.results.proofs import load_proofs
from pipeline.contract.results.scores import default_method
from pipeline.contract.run.history import read_questions
from pipeline.contract.run.proving import question_id
from pipeline.contract.run.replies import (
    AnswerPart,
    AnswerTokens,
    ExampleList,
    ExampleTokens,
    PromptLoss,
    Query,
    Reply,
    Written,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from tui.content import asked_text
from tui.content.answer_line import answer_text
from tui.content.verdict_text import verdict_text
from tui.keys import Scope, bindings
from tui.processes.answerer import Answerer
from tui.screens.dialogs.choice import Choice
from tui.screens.dialogs.question_form import QuestionForm
from tui.screens.mixins.asked_list import AskedList, moved
from tui.screens.mixins.renewing import Renewing
from tui.screens.mixins.tracing import Tracing
from tui.screens.mixins.view import View
from tui.screens.mixins.warming import Warming
from tui.widgets.banner import Banner
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.ranking_table import RankingTable

if TYPE_CHECKING:
    from tui.readers.asked import Asked
    from tui.screens.example import Browsed, ExampleScreen

_TOP = 50
_BELOW = ("#origin", "#probabilities", "#likeness", "#verdict")
"""What is told of an answer, once it is known."""
_ID = "asked"
_TAIL = 160
"""Letters of the prompt's end that stand before the answer."""


class AskScreen(View[None], Warming, AskedList, Tracing, Renewing):
    """Keeps the run's model warm while it is open."""

    SCOPE: ClassVar[Scope] = "ask"
    STAGES = ("index",)
    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("ask"),
        *bindings("taking"),
        *bindings("proving"),
        *bindings("results"),
    ]

    as_written: reactive[bool] = reactive(False, init=False, repaint=False)
    """Whether the prompt is shown as the model's chat template writes it."""

    def __init__(
        self, run: RunDir, prompt: str = "", completion: str = "", instead: str | None = None
    ) -> None:
        """The form is filled in as given."""
        super().__init__()
        self._run, self._answerer = run, Answerer(run)
        self._question = Query(prompt, completion or None, _TOP, instead)
        self._said = self._written = ""
        self._is_waiting = False
        """Whether the question waits for the index."""
        self.tokens = {}
        self._example: ExampleScreen | None = None
        """The example that is open above this screen, and the list that it is of."""
        self._shown_of: Asked | None = None

    def compose(self) -> ComposeResult:
        """The answer, how likely it is, the examples, the text of one."""
        yield Banner()
        yield Notice(id="notice")
        yield Static(id="said")
        yield Static(id="origin")
        yield Static(id="probabilities")
        yield Static(id="likeness")
        yield Static(id="verdict")
        yield RankingTable(id="table")
        yield self.filter_entry("words of the text · id:… · group:7")
        yield Static(id="meaning")
        yield Static(id="preview", classes="panel")
        yield KeyBar()

    def on_mount(self) -> None:
        """Asks for the question, and loads the model meanwhile."""
        self.query_one(Banner).trail = (self._run.name, "ask")
        for name in ("#said", *_BELOW):
            self.query_one(name).display = False
        self.filtered.entitle("Examples")
        self.filtered.empty = self.told("{ask.prompt} writes a prompt, which brings the examples")
        self.filtered.focus()
        if self._question.prompt:
            self.filtered.empty = self.told("{ask.prompt} opens the prompt that was brought along")
        if self._run.done("index").exists():
            self.action_prompt()
        self.prepare()

    def renewed(self) -> AskScreen:
        """The screen with the question of this one, on the index of now."""
        asked = self._question
        return AskScreen(self._run, asked.prompt, asked.completion or "", asked.instead)

    def on_unmount(self) -> None:
        """Lets the model go; the process may take a while to end, the screen does not wait."""
        threading.Thread(target=self._answerer.close).start()
        self.asked = None

    @property
    def has_hint(self) -> bool:
        """The hint tells how to ask, which takes an index."""
        return self._run.done("index").exists()

    # A question

    @property
    def answer(self) -> GreedyAnswer:
        """The question, and what is traced."""
        asked = self._question
        return GreedyAnswer(_ID, asked.prompt, self._said, set_against=asked.instead)

    @property
    def question(self) -> Query:
        """The question with the answer that is traced."""
        asked = self._question
        prompt = asked.prompt if asked.completion else asked.prompt.rstrip()  # as it was answered
        return Query(prompt, self._said, instead=asked.instead)

    def action_prompt(self) -> None:
        """Writes a question."""
        self.app.push_screen(QuestionForm(self._question), self._put)

    def action_history(self) -> None:
        """Lists what was asked before, and asks it again."""
        asked = read_questions(self._run)  # a hundred lines at most
        choices = [
            Choice(" ".join(one.prompt.split()), one.asked_at, f"{one.prompt} → {one.answer}")
            for one in asked
        ]
        self.offer(
            "Asked before",
            choices,
            lambda n: self._put(asked[n].query(_TOP)),
        )

    def _put(self, question: Query | None) -> None:
        if question is None:
            return
        self._question = question
        self._is_waiting = bool(self.missing)
        if self._is_waiting:
            self._begin(question)
            self.filtered.empty = "this is asked as soon as the index is there"
        else:
            self._ask(question)

    def watch_missing(self) -> None:
        """What was asked before the index was there is asked now."""
        if self._is_waiting and not self.missing:
            self._is_waiting = False
            self._ask(self._question)
        elif self._question.prompt and not self.missing and self.is_current:
            self.action_prompt()  # what was brought along, once it can be asked

    @work(exclusive=True)
    async def _ask(self, question: Query) -> None:
        """Asks, and shows what comes as it comes; a newer question takes its place."""
        self._answerer.abandon()
        self._begin(question)
        try:
            await self.warm()
            self.stand("● answering …")
            replies = self._answerer.replies(question)
            while reply := await asyncio.to_thread(next, replies, None):
                await self.take(reply)
        except CancelledError:
            return
        except HeadwaterError as error:
            self.fail(error)
            self.prepare()

    async def warm(self) -> None:
        """Loads the model, and learns by what the run ranks."""
        settings = await asyncio.to_thread(load_settings, self._run.settings)
        self.query_one("#meaning", Static).update(asked_text.meaning(settings))
        strategy = settings.factors.strategies[0]
        self.methods = list(dict.fromkeys([default_method(settings), strategy]))
        if self.ranked_by not in self.methods:
            self.set_reactive(AskScreen.ranked_by, self.methods[0])
        await super().warm()

    @property
    def shows_results(self) -> bool:
        """Whether there is an answer."""
        return self.found is not None

    def _begin(self, question: Query) -> None:
        self.see()
        if not self.missing:
            self.query_one(Notice).trouble = ""
        self._said, self._written = question.completion or "", ""
        self.copies = None
        self.clear()
        for name in _BELOW:
            self.query_one(name).display = False
        self._show_answer()

    async def take(self, reply: Reply) -> None:
        """Shows what the worker says."""
        match reply:
            case AnswerPart(text):
                self._said += text
                self._show_answer()
            case Written(text):
                self._written = text
                self._show_answer()
            case AnswerTokens():
                self._tell_below("#probabilities", asked_text.probabilities(reply))
                self._tell_below("#likeness", asked_text.likeness(None))
                self.look_for_copies(self._question.prompt, self._said)
            case PromptLoss():
                self._tell_below("#likeness", asked_text.likeness(reply))
            case ExampleList():
                before = self.asked
                await self.take_list(reply)
                self._renew_example(before)
                self.show_copies()
                if reply.exact:
                    self.stand("✓ answered")
                    await self._tell_verdict()
            case ExampleTokens():
                self.tokens[reply.example_id] = reply
                self._tell_example(reply.example_id)

    def _tell_example(self, example_id: str) -> None:
        """Tells an example that was opened before its tokens had scores."""
        if self._example and self._example.is_attached:
            self._example.tokens_came(example_id)

    def _renew_example(self, before: Asked | None) -> None:
        """Shows an example that is open as it stands in the newer list, if it is there."""
        shown, asked, listing = self._example, self.asked, self.filtered.listing
        if shown is None or not shown.is_attached or asked is None or listing is None:
            return
        marked = moved(shown.marked, before, asked)
        for position in moved(frozenset({shown.position}), before, asked):
            self._shown_of = asked
            shown.renew(asked, asked, listing, position, marked)

    async def _tell_verdict(self) -> None:
        """What was proven of this very question."""
        proofs = await asyncio.to_thread(load_proofs, self._run, question_id(self.question))
        if proofs:
            self._tell_below("#verdict", verdict_text(proofs))

    def _tell_below(self, name: str, text: Content) -> None:
        line = self.query_one(name, Static)
        line.display = True
        line.update(text)

    def show_copies(self) -> None:
        """The answer, its copies marked, and the word for where it comes from."""
        self._show_answer()
        self._tell_below("#origin", self.origin(self.found.taught if self.found else None))

    def _show_answer(self) -> None:
        prompt = self._question.prompt
        prompt = f"…{prompt[-_TAIL:]}" if len(prompt) > _TAIL else prompt
        if self.as_written and self._written:
            prompt = self._written
        answer = replace(self.answer, prompt=prompt)
        self._tell_below("#said", answer_text(answer, self.copies))

    @on(Lines.Chosen, "#table")
    def _open_example(self) -> None:
        from tui.screens.example import ExampleScreen

        table, asked = self.filtered, self.asked
        if asked and table.listing and table.selected is not None:
            found = (self.answer,)
            at = (table.listing, table.selected, table.marked)
            shown = ExampleScreen(self._run, asked, asked, found, *at, "ask", self.question)
            self._example, self._shown_of = shown, asked
            self.app.push_screen(shown, self._came_back)

    def _came_back(self, left: Browsed | None) -> None:
        """Leaves the cursor on the example that was read last; the exact list may have come in
        between."""
        before, self._example, self._shown_of = self._shown_of, None, None
        if left is not None and self.asked and before:
            self.mark(before, left.marked)
            self.ranked_by = left.ranked_by
            self.land(before, left.position)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The index is made where there is none."""
        if action == "trace":
            return self.shows_results
        return action != "index" or bool(self.missing)

    def action_trace(self) -> None:
        """Lists the places of the answer's copies; makes the index where there is none."""
        from tui.screens.copies import CopiesScreen

        if self.traced:
            self.app.push_screen(CopiesScreen(self._run, *self.traced))

    def watch_as_written(self) -> None:
        """The prompt in the other manner."""
        self._show_answer()

    def action_template(self) -> None:
        """Shows the prompt as the model's chat template writes it, or as it was asked."""
        if not self._written:
            self.notify("nothing was asked here by a chat template", markup=False)
        self.as_written = bool(self._written) and not self.as_written

    def action_leave(self) -> None:
        """From the filter to all examples; else out."""
        if not self.end_filter():
            self.app.pop_screen()
