"""The prompts, and whether the model knows the answer."""

from __future__ import annotations

from rich.cells import cell_len
from textual.reactive import reactive

from pipeline.contract.results.answers import GreedyAnswer
from tui.content.ink import Ink, Part, fit
from tui.readers.clean import clean
from tui.widgets.lines import Lines

_CUT = 300
_MARKS: dict[bool | None, tuple[str, Ink]] = {
    True: ("✓", "good"),
    False: ("✗", "bad"),
    None: ("·", "dim"),
}


class PromptList(Lines):
    """One line a prompt: ✓ or ✗ for the model's own answer, the prompt, the traced completion."""

    answers: reactive[tuple[GreedyAnswer, ...]] = reactive(())

    @property
    def selected(self) -> GreedyAnswer | None:
        """The prompt under the cursor."""
        return self.answers[self.cursor] if self.cursor < len(self.answers) else None

    def watch_answers(self, answers: tuple[GreedyAnswer, ...]) -> None:
        """Prompts have come."""
        self.count = len(answers)
        known = sum(answer.correct is True for answer in answers)
        judged = any(answer.correct is not None for answer in answers)
        self.border_title = f"Prompts · {len(answers):,}"
        self.border_subtitle = f"{known:,} of {len(answers):,} answered rightly" if judged else ""
        self.refresh()

    def line(self, index: int, width: int) -> list[Part]:
        """`✓ Mara Voss was born in → Tellin`, the prompt's end kept where room is short."""
        answer = self.answers[index]
        mark, ink = _MARKS[answer.correct]
        completion = clean(answer.completion.strip(), _CUT)
        room = max(0, width - 2 - min(cell_len(completion) + 3, width // 2))
        prompt = fit(clean(answer.prompt, _CUT), room).rstrip()
        return [
            (f"{mark} ", ink),
            (prompt, "plain"),
            (" → ", "dim"),
            (fit(completion, max(0, width - cell_len(prompt) - 5)), "accent"),
        ]
