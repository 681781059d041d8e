"""Prompts in the making."""

from __future__ import annotations

import difflib
import json
import re
from itertools import count
from pathlib import Path

from pipeline.contract.errors import RunBusyError
from pipeline.contract.files import expanded
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.new_run import change_prompts
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES, downstream
from pipeline.contract.settings.prompts import Prompt, load_prompts, optional_faults
from pipeline.contract.settings.schema import Settings

_NO_COMPLETION = "the completion is empty; or set prompts.use_generated"
_ID_WORDS, _ID_LENGTH = 4, 40
FIXED = (
    "the demo corpus brings its own prompts: they cannot be edited",
    "clone the run and set data.source to have prompts of your own",
)
"""Why some prompts cannot be edited, and what to do."""

_EMPTY_TURNS = [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]


class PromptsDraft:
    """The prompts of a run.

    Raises:
        SettingsError: the file cannot be read as prompts.
    """

    def __init__(self, run: RunDir, settings: Settings) -> None:
        self._run, self._settings = run, settings
        self._stamp = _content(run.prompts)
        path = run.prompts if run.prompts.exists() else run.prepared_prompts
        generated = settings.prompts.use_generated
        self.saved = load_prompts(path, generated) if path.exists() else []
        self.prompts = list(self.saved)

    @property
    def is_fixed(self) -> bool:
        """Whether the corpus brings the prompts, so that they cannot be edited."""
        return self._settings.data.source == "demo"

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save."""
        return self.prompts != self.saved

    def faults(self, prompt: Prompt, position: int | None) -> dict[str, str]:
        """What is wrong with a prompt at a position, or as a new one, by its fields."""
        is_taken = prompt.id in self._taken(position)
        lacks = not prompt.completion.strip() and not self._settings.prompts.use_generated
        faults = {
            "id": f"there is a prompt {prompt.id!r} already" if is_taken else "",
            "prompt": "" if prompt.prompt.strip() else "the prompt is empty",
            "completion": _NO_COMPLETION if lacks else "",
        }
        generated = self._settings.prompts.use_generated
        faults |= {name: told for name, (told, _) in optional_faults(prompt, generated).items()}
        return {name: fault for name, fault in faults.items() if fault}

    def new(self) -> Prompt:
        """An empty prompt; a conversation where the model was trained on such."""
        if self._settings.data.form == "chat":
            return Prompt.of_messages("", _EMPTY_TURNS)
        return Prompt(id="", prompt="")

    def put(self, prompt: Prompt, position: int | None) -> int:
        """Replaces the prompt at a position, or adds one; gives its position. One without an id
        gets one of its first words."""
        if not prompt.id:
            prompt = prompt.model_copy(update={"id": self._free_id(prompt, position)})
        if position is None:
            self.prompts.append(prompt)
            return len(self.prompts) - 1
        self.prompts[position] = prompt
        return position

    def copy_of(self, position: int) -> Prompt:
        """A prompt like another, under an id that is free."""
        prompt = self.prompts[position]
        return prompt.model_copy(update={"id": _free(prompt.id, self._taken(None))})

    def part_words(self, position: int) -> None:
        """Puts the blank between a prompt and its completion that is missing there."""
        prompt = self.prompts[position]
        self.prompts[position] = prompt.completed(f" {prompt.completion}")

    def _taken(self, position: int | None) -> set[str]:
        """The ids of all prompts but the one at a position."""
        return {prompt.id for n, prompt in enumerate(self.prompts) if n != position}

    def _free_id(self, prompt: Prompt, position: int | None) -> str:
        words = re.findall(r"\w+", prompt.prompt.casefold())[:_ID_WORDS]
        name, taken = "-".join(words)[:_ID_LENGTH].rstrip("-") or "prompt", self._taken(position)
        return _free(name, taken) if name in taken else name

    def remove(self, position: int) -> None:
        """Takes a prompt out."""
        del self.prompts[position]

    def take_in(self, path: Path) -> tuple[int, int]:
        """Adds the prompts of a file or folder; gives how many came, and how many were passed over
        because their id is taken.

        Raises:
            SettingsError: they cannot be read as prompts.
        """
        taken = {prompt.id for prompt in self.prompts}
        loaded = load_prompts(expanded(str(path)), self._settings.prompts.use_generated)
        new = [prompt for prompt in loaded if prompt.id not in taken]
        self.prompts += new
        return len(new), len(loaded) - len(new)

    def diff(self) -> list[str]:
        """Lines beginning with "-" or "+"."""
        old, new = list(map(_line, self.saved)), list(map(_line, self.prompts))
        lines = difflib.unified_diff(old, new, n=0)
        return [line for line in list(lines)[2:] if not line.startswith("@@")]

    def made_stale(self) -> tuple[str, ...]:
        """Finished stages that saving would make stale: prepare reads the prompts."""
        after = [name for name in STAGES if name in downstream("prepare", prompts_only=True)]
        now = RunFreshness(self._settings, self._run)
        return tuple(name for name in after if now.is_fresh(name))

    def save(self) -> None:
        """Writes the draft.

        Raises:
            SettingsError: there are no prompts left.
            RunBusyError: something works in the run, or the file was changed meanwhile.
        """
        if _content(self._run.prompts) != self._stamp:
            hint = "leave the editor without saving and come back: it shows what holds now"
            raise RunBusyError("somebody else has changed these prompts meanwhile", hint)
        change_prompts(self._run, self.prompts)
        self._stamp, self.saved = _content(self._run.prompts), list(self.prompts)


def _free(name: str, taken: set[str]) -> str:
    """The name with the first number behind it that is free."""
    return next(new for number in count(2) if (new := f"{name}-{number}") not in taken)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _line(prompt: Prompt) -> str:
    written = {key: value for key, value in prompt.as_written().items() if value}
    return json.dumps(written, ensure_ascii=False)
