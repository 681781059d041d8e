"""Prompts that are being edited."""

from __future__ import annotations

from textual.reactive import reactive

from pipeline.contract.settings.prompts import Prompt
from tui.content.ink import Part, fit
from tui.readers.clean import clean
from tui.widgets.lines import Lines

_ID = 18
_CUT = 300


class DraftList(Lines):
    """One line a prompt: id, prompt, completion."""

    prompts: reactive[tuple[Prompt, ...]] = reactive(())

    @property
    def selected(self) -> Prompt | None:
        """The prompt under the cursor."""
        return self.prompts[self.cursor] if self.cursor < len(self.prompts) else None

    def watch_prompts(self, prompts: tuple[Prompt, ...]) -> None:
        """Prompts have come, gone or changed."""
        self.count = len(prompts)
        self.refresh()

    def header(self, width: int) -> list[Part]:
        """Names of the columns."""
        return [(fit("id", _ID) + "prompt → completion", "dim")]

    def line(self, index: int, width: int) -> list[Part]:
        """`contract   A contract is binding when → both parties …`."""
        prompt = self.prompts[index]
        room = max(0, width - _ID)
        words = clean(prompt.prompt, _CUT)
        answer = clean(prompt.completion.strip(), _CUT) or "–"
        asked = fit(words, min(len(words), max(10, room - len(answer) - 3))).rstrip()
        return [
            (fit(clean(prompt.id, _CUT), _ID - 1) + " ", "strong"),
            (asked, "plain"),
            (" → ", "dim"),
            (answer, "accent"),
        ]
