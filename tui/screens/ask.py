"""A new prompt: the model's answer as it is written, then the examples that taught it."""

from __future__ import annotations

import asyncio
import threading
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Input, Label, Static

from pipeline.contract.errors import CancelledError, HeadwaterError
from pipeline.contract.results.answers import GreedyAnswer
from pipeline.contract.run.asking import AnswerPart, AskedExample, Query, Reply, Written
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import upstream
from pipeline.contract.settings.loading import load_settings
from tui.content.answer_line import answer_text
from tui.content.asked_rows import COLUMNS, meaning, rows_of, title_of
from tui.content.example_text import plain_text
from tui.content.ink import Ink
from tui.content.states import standing
from tui.keys import Scope, bindings
from tui.processes.answerer import Answerer
from tui.processes.launcher import start_stages
from tui.readers.run_reader import RunReader, RunSnapshot
from tui.screens.mixins.renewing import Renewing
from tui.screens.mixins.view import View
from tui.widgets.banner import Banner
from tui.widgets.entry import Entry
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Lines
from tui.widgets.notice import Notice
from tui.widgets.scrolling import TextPane
from tui.widgets.table import Table

_TOP = 50
_INTERVAL_S = 1.0
_HINTS = (
    "what the model goes on from; {entry.submit} asks, Tab goes on",
    "leave empty to trace the model's own answer; else begin with a blank",
)
_TAIL = 160
"""Letters of the prompt's end that stand before the answer."""
_NEEDED = upstream("index") | {"index"}


class AskScreen(View[None], Renewing):
    """Keeps the run's model warm while it is open."""

    SCOPE: ClassVar[Scope] = "ask"
    STAGES = ("index",)
    CSS_PATH = ["tables.tcss", "ask.tcss"]  # noqa: RUF012 (Textual's own way to name two)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("ask"), *bindings("results")]

    missing: reactive[tuple[str, ...]] = reactive((), init=False, repaint=False, bindings=True)
    """Stages that have to run before anything can be asked."""

    as_written: reactive[bool] = reactive(False, init=False, repaint=False)
    """Whether the prompt is shown as the model's chat template writes it."""

    def __init__(self, run: RunDir, prompt: str = "", completion: str = "") -> None:
        """The entries are filled in as given."""
        super().__init__()
        self._run, self._given = run, {"prompt": prompt, "completion": completion}
        self._answerer, self._starting = Answerer(run), False
        self._prompt = self._said = self._written = ""
        self.examples: dict[str, AskedExample] = {}
        """By id, in the order of the list."""

    def compose(self) -> ComposeResult:
        """The question, the answer, the examples, the text of one."""
        yield Banner()
        yield Notice(id="notice")
        for (name, value), hint in zip(self._given.items(), _HINTS, strict=True):
            with Horizontal(classes="asked"):
                yield Label(name)
                yield Entry(value, self.told(hint), id=name)
        yield Static(id="said")
        yield Table(id="table")
        yield Static(id="meaning")
        with TextPane(id="first", classes="panel"):
            yield Static(id="first-text")
        yield KeyBar()

    def on_mount(self) -> None:
        """Looks whether there is an index, and loads the model."""
        self.query_one(Banner).trail = (self._run.name, "ask")
        for name in ("#said", "#first"):
            self.query_one(name).display = False
        self._table.entitle("Examples")
        self._table.empty = "a prompt brings the examples that taught its answer"
        self.query_one("#prompt").focus()
        self._prepare()

    def renewed(self) -> AskScreen:
        """The screen with what is written in this one, on the index of now."""
        return AskScreen(self._run, *(self.query_one(f"#{n}", Input).value for n in self._given))

    def on_unmount(self) -> None:
        """Lets the model go; the process may take a while to end, the screen does not wait."""
        threading.Thread(target=self._answerer.close).start()

    @property
    def _table(self) -> Table:
        return self.query_one(Table)

    # The index, and the model

    @work(exclusive=True)
    async def _prepare(self) -> None:
        """Follows the run until the index is there, then loads the model."""
        reader, working = RunReader(self._run), True
        while working:
            snapshot = await asyncio.to_thread(reader.read)
            self._tell(snapshot)
            working = snapshot.working
            if not self.missing:
                break
            await asyncio.sleep(_INTERVAL_S if working else 0)
        if self.missing or snapshot.trouble:
            return
        try:
            await self._warm()
        except CancelledError:
            return
        except HeadwaterError as error:
            self._fail(error)
        else:
            self._stand("✓ the model is loaded")

    def _tell(self, snapshot: RunSnapshot) -> None:
        """What is missing, and how it comes along."""
        stages = [stage for stage in snapshot.stages if stage.stage in _NEEDED]
        self.missing = tuple(stage.stage for stage in stages if stage.state != "done")
        notice, banner = self.query_one(Notice), self.query_one(Banner)
        failed = [f"{s.stage} {s.state}: {s.message}" for s in stages if s.message]
        advice = self.told("{ask.index} runs what is missing: ") + ", ".join(self.missing)
        notice.warning = ""
        if snapshot.trouble:
            notice.trouble = snapshot.trouble
        elif self.missing and snapshot.working:
            notice.trouble, notice.warning = "", "questions can be asked once the index is there"
            banner.standing = standing(snapshot)
        elif self.missing and failed:
            notice.trouble = f"{failed[0]}\n{advice}"
        elif self.missing:
            notice.warning = f"there is no index that is up to date\n{advice}"
        if self.missing and not snapshot.working:
            banner.standing = ("", "dim")
            self._table.focus()  # where the keys are not letters of a prompt

    async def _warm(self) -> None:
        self._stand("● loading the model …")
        settings = await asyncio.to_thread(load_settings, self._run.settings)
        self.query_one("#meaning", Static).update(meaning(settings))
        await asyncio.to_thread(self._answerer.warm)

    def _stand(self, text: str) -> None:
        ink: Ink = "good" if text.startswith("✓") else "accent"
        self.query_one(Banner).standing = (text, ink)

    def _fail(self, error: HeadwaterError) -> None:
        self.query_one(Notice).trouble = str(error)
        self.query_one(Banner).standing = ("", "dim")

    # A question

    @on(Input.Submitted)
    def _submitted(self) -> None:
        prompt, completion = (self.query_one(f"#{n}", Input).value for n in self._given)
        try:
            question = Query(prompt, completion or None, _TOP).validated()
        except HeadwaterError as error:
            self.query_one(Notice).trouble = str(error)
            return
        if self.missing:
            self.notify("first the index has to be there", markup=False)
            return
        self._table.focus()
        self._ask(question)

    @work(exclusive=True)
    async def _ask(self, question: Query) -> None:
        """Asks, and shows what comes as it comes; a newer question takes its place."""
        self._answerer.abandon()
        self._begin(question)
        try:
            await self._warm()
            self._stand("● answering …")
            replies = self._answerer.replies(question)
            while reply := await asyncio.to_thread(next, replies, None):
                self._take(reply)
        except CancelledError:
            return
        except HeadwaterError as error:
            self._fail(error)
            self._prepare()

    @property
    def shows_results(self) -> bool:
        """Whether there is an answer."""
        return bool(self.examples)

    def _begin(self, question: Query) -> None:
        self.see()
        self.query_one(Notice).trouble = ""
        cut = len(question.prompt) - _TAIL
        self._prompt = f"…{question.prompt[cut:]}" if cut > 0 else question.prompt
        self._said, self._written, self.examples = question.completion or "", "", {}
        self._table.empty = "the examples come after the answer …"
        self._table.show(COLUMNS, ())
        self._table.entitle("Examples")
        self._show_answer()

    def _take(self, reply: Reply) -> None:
        """A piece of the answer, or a list of examples."""
        if isinstance(reply, AnswerPart):
            self._said += reply.text
            self._show_answer()
            return
        if isinstance(reply, Written):
            self._written = reply.text
            self._show_answer()
            return
        self.examples = {row.example_id: row for row in reply.rows}
        if not self._table.cursor:  # it stays at the top; else it would go with its example
            self._table.show(COLUMNS, ())
        self._table.show(COLUMNS, list(rows_of(reply.rows)))
        if reply.exact:
            self._table.entitle(f"Examples · {len(self.examples):,} · exact")
            self._stand("✓ answered")
        else:
            self._table.entitle("Examples · provisional, by the index", "the exact list follows")

    def _show_answer(self) -> None:
        said = self.query_one("#said", Static)
        said.display = True
        prompt = self._written if self.as_written and self._written else self._prompt
        said.update(answer_text(GreedyAnswer("asked", prompt, self._said)))

    @on(Lines.Moved, "#table")
    def _explain(self) -> None:
        """Shows the text of the example under the cursor."""
        row, pane = self._table.selected, self.query_one("#first", TextPane)
        pane.display = row is not None
        if row is not None:
            example = self.examples[row.item]
            pane.border_title = Content(title_of(example))
            pane.scroll_home(animate=False)
            self.query_one("#first-text", Static).update(plain_text(example.text))

    # Keys

    @on(Lines.Chosen, "#table")
    def _read(self) -> None:
        """Into the text, to scroll it."""
        self.query_one("#first").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The index is made where there is none."""
        return action != "index" or bool(self.missing)

    def watch_as_written(self) -> None:
        """The prompt in the other manner."""
        if self._prompt:
            self._show_answer()

    def action_template(self) -> None:
        """Shows the prompt as the model's chat template writes it, or as it was asked."""
        if not self._written:
            self.notify("nothing was asked here by a chat template", markup=False)
        self.as_written = bool(self._written) and not self.as_written

    def action_prompt(self) -> None:
        """Writes a prompt."""
        self.query_one("#prompt").focus()

    def action_completion(self) -> None:
        """Writes what is traced."""
        self.query_one("#completion").focus()

    @work
    async def action_index(self) -> None:
        """Runs the stages that are missing, and goes on when they have finished."""
        if self._starting:
            return
        self._starting = True
        try:
            await asyncio.to_thread(start_stages, self._run, self.missing)
        except HeadwaterError as error:
            self.complain(error)
        finally:
            self._starting = False
        self._prepare()

    def action_leave(self) -> None:
        """From a text or an entry to the examples, where there are any; else out."""
        if self._table.count and not self._table.has_focus:
            self._table.focus()
        else:
            self.app.pop_screen()
