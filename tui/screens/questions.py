"""The questions of a benchmark: what each model chose, and how likely it found every choice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.reactive import reactive

from pipeline.contract.errors import HeadwaterError, UsageError
from pipeline.contract.results.benchmark_questions import AnsweredQuestion, read_questions
from pipeline.contract.results.benchmarks import TaskScores, load_benchmarks, scoring_title
from pipeline.contract.results.generation import MODELS, ModelName
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.wording import why
from tui.content.ink import Ink
from tui.content.question_text import question_text, replies_text
from tui.content.rows import Cell, Column, Row
from tui.drafts.prompts import FIXED, PromptsDraft
from tui.drafts.question_prompt import prompt_of
from tui.keys import Scope, bindings
from tui.readers.words import holds
from tui.screens.dialogs.choice import Choice, ChoiceDialog
from tui.screens.dialogs.confirm import ConfirmDialog, changes
from tui.screens.dialogs.prompt_form import PromptForm
from tui.screens.mixins.tabled import Pane, Tabled
from tui.screens.mixins.view import READING
from tui.widgets.banner import Banner
from tui.widgets.lines import Lines

_WHICH = ("all", "missed by the trained model", "where the models differ")
_COLUMNS = (
    Column("base", 7, right=True),
    Column("trained", 7, right=True),
    Column("question"),
    Column("right", 20, spare=True),
    Column("trained says", 20, spare=True),
)


class QuestionsScreen(Tabled):
    """A table of questions; below it the one under the cursor, and both models' replies."""

    SCOPE: ClassVar[Scope] = "questions"
    STAGES = ("benchmark",)
    LOOKED_THROUGH = "a question or its choices"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("questions"), *bindings("results")]

    which: reactive[int] = reactive(0, init=False, repaint=False)
    """Which questions are shown."""

    def __init__(self, run: RunDir, folder: str, score: TaskScores, which: int = 0) -> None:
        """`folder`: where the questions lie; where it is empty, in the newest."""
        super().__init__()
        self._run, self._folder, self._score = run, folder, score
        self._rows: list[Row] = []
        self.set_reactive(QuestionsScreen.which, which)

    def on_mount(self) -> None:
        """Reads the questions."""
        score = self._score
        self.query_one(Banner).trail = (self._run.name, score.benchmark, score.task)
        self.filtered.entitle("Questions")
        self._load()

    def renewed(self) -> QuestionsScreen:
        """The screen on the newer results."""
        return QuestionsScreen(self._run, "", self._score, self.which)

    @work(group=READING)
    async def _load(self) -> None:
        rows: list[Row] = []
        failed: HeadwaterError | None = None
        try:
            rows = await asyncio.to_thread(self._read_rows)
        except HeadwaterError as error:
            failed = error
        self._rows = rows
        self.tell(failed)
        self._show()

    def _read_rows(self) -> list[Row]:
        folder, score = self._folder or load_benchmarks(self._run).value.folder, self._score
        questions = read_questions(self._run, folder, score.benchmark, score.task, score.scored_by)
        return [_row(question) for question in questions]

    def watch_words(self) -> None:
        """Another filter."""
        self._show()

    def watch_which(self) -> None:
        """Other questions."""
        self._show()

    def _show(self) -> None:
        which, words = self.which, self.words
        kept = [r for r in self._rows if _is_asked(r.item, which) and holds(r.words, words)]
        table = self.filtered
        table.empty = "no such question" if self._rows else "no questions"
        table.show(_COLUMNS, kept)
        count = f"{len(kept):,}" + f" of {len(self._rows):,}" * (len(kept) < len(self._rows))
        table.entitle(f"Questions · {count}", _WHICH[self.which])
        self.explain()

    def panes(self, row: Row) -> Sequence[Pane]:
        """The question, and what both models made of it."""
        scoring = scoring_title(self._score.scored_by)
        replies = Pane(f"Replies · scored by {scoring}", replies_text(row.item))
        return Pane("Question", question_text(row.item)), replies

    @on(Lines.Chosen, "#table")
    def _read(self) -> None:
        """Into the replies, to scroll them."""
        self.query_one("#second").focus()

    def action_which(self) -> None:
        """Other questions."""
        self.which = (self.which + 1) % len(_WHICH)

    @work
    async def action_trace(self) -> None:
        """Makes a prompt of the question and an answer; scoring traces it then."""
        row = self.filtered.selected
        if row is None:
            return
        try:
            draft = PromptsDraft(self._run, load_settings(self._run.settings))
            if draft.is_fixed:
                raise UsageError(*FIXED)
            prompt = await self._chosen_prompt(row.item)
            if prompt is None:
                return
            form = PromptForm(prompt, lambda written: draft.faults(written, None))
            if written := await self.app.push_screen_wait(form):
                position = draft.put(written, None)
                await self._save(draft, draft.prompts[position])
        except HeadwaterError as error:
            self.complain(error)

    async def _chosen_prompt(self, question: AnsweredQuestion) -> Prompt | None:
        """With the answer that a person chooses, where the model's is not the right one."""
        given, right = (self._prompt(question, right) for right in (False, True))
        if given.completion == right.completion:
            return given
        choices = [
            Choice("the model's", why(given.completion, given.instead)),
            Choice("the right one", right.completion.strip()),
        ]
        chosen = await self.app.push_screen_wait(ChoiceDialog("Trace which answer?", choices))
        return None if chosen is None else (given, right)[chosen]

    def action_ask(self) -> None:
        """Puts the question to the trained model, filled in with the answer that it gave."""
        from tui.screens.ask import AskScreen

        if row := self.filtered.selected:
            asked = self._prompt(row.item, right=False)
            self.app.push_screen(
                AskScreen(self._run, asked.prompt, asked.completion, asked.instead)
            )

    def _prompt(self, question: AnsweredQuestion, right: bool) -> Prompt:
        """With the right answer, or with the one that the trained model gave."""
        replies = [question.replies[model] for model in MODELS if model in question.replies]
        given = question.pick(replies[-1]) if replies else ""
        gold = question.gold[0] if question.gold else ""
        answers = (gold, "") if right else (given, "" if given in question.gold else gold)
        return prompt_of(self._score.benchmark, question, *answers)

    async def _save(self, draft: PromptsDraft, written: Prompt) -> None:
        """Writes the prompt, if a person wants what becomes stale by it."""
        text = changes(draft.diff(), await asyncio.to_thread(draft.made_stale))
        question = ConfirmDialog(f"Add {written.id} to the prompts?", text, "add it", "leave them")
        if await self.app.push_screen_wait(question):
            draft.save()
            message = self.told(
                "added; {run.run_all} on the run's screen runs what is stale, scoring too"
            )
            self.notify(message, markup=False)


def _row(question: AnsweredQuestion) -> Row:
    replies = question.replies
    last = replies.get("trained") or replies.get("base")
    said = question.pick(last) if last else ""
    cells = (
        *(_mark(question, model) for model in MODELS),
        Cell(question.prompt.strip().removeprefix("Question:").lstrip()),
        Cell(", ".join(question.gold), "accent"),
        Cell(said, "plain" if said in question.gold else "dim"),
    )
    return Row(cells, question, " ".join([question.id, question.prompt, *question.choices]))


def _is_asked(question: AnsweredQuestion, which: int) -> bool:
    """Whether a question is among all, those missed, or those where the models differ."""
    scores = [reply.score for model in MODELS if (reply := question.replies.get(model))]
    if which == 1:
        return bool(scores) and scores[-1] is not None and scores[-1] < 1
    return which == 0 or len(set(scores)) > 1


def _mark(question: AnsweredQuestion, model: ModelName) -> Cell:
    """✓ or ✗; the score where it is neither right nor wrong."""
    reply = question.replies.get(model)
    if reply is None or reply.score is None:
        return Cell("–", "dim")
    looks: dict[float, tuple[str, Ink]] = {0.0: ("✗", "bad"), 1.0: ("✓", "good")}
    text, ink = looks.get(reply.score, (f"{reply.score:.2f}", "plain"))
    return Cell(text, ink, reply.score)
