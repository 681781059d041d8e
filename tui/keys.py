"""One table of keys: it makes the bindings, the footer, the help and the command palette.

Plain letters only: Docker, tmux, screen and flow control own most control keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from textual.binding import Binding, BindingType
from textual.keys import key_to_character

Scope = Literal[
    "app",
    "list",
    "scroll",
    "marks",
    "chart",
    "curves",
    "runs",
    "compare",
    "run",
    "stages",
    "settings",
    "prompts",
    "form",
    "entry",
    "rankings",
    "ask",
    "example",
    "beside",
    "taking",
    "proving",
    "curating",
    "curate",
    "factors",
    "evaluation",
    "questions",
    "copies",
    "report",
    "results",
    "table",
    "help",
    "dialog",
]

TITLES: dict[Scope, str] = {
    "app": "Everywhere",
    "list": "In lists",
    "scroll": "In lists and texts",
    "marks": "In lists with marks",
    "chart": "In charts",
    "curves": "In charts of a training",
    "runs": "Runs",
    "compare": "Compare",
    "run": "Run",
    "stages": "In the stages",
    "settings": "Settings",
    "prompts": "Prompts",
    "form": "In forms",
    "entry": "While writing",
    "rankings": "Rankings",
    "ask": "Ask",
    "example": "Example",
    "beside": "Side by side",
    "taking": "Take out",
    "proving": "Prove",
    "curating": "To curate",
    "curate": "Curate",
    "factors": "Factors",
    "evaluation": "Evaluation",
    "questions": "Questions",
    "copies": "Word for word",
    "report": "Report",
    "results": "In results",
    "table": "In tables",
    "help": "Help",
    "dialog": "Questions",
}


PARTS: dict[Scope, tuple[Scope, ...]] = {
    "runs": ("marks", "curves", "chart", "list", "scroll"),
    "compare": ("table", "curves", "chart", "list", "scroll"),
    "run": ("curves", "chart", "stages", "scroll"),
    "settings": ("list", "scroll"),
    "prompts": ("curating", "list", "scroll"),
    "rankings": ("marks", "taking", "proving", "curating", "results", "list", "scroll"),
    "ask": ("marks", "taking", "proving", "results", "list", "scroll"),
    "example": ("taking", "proving", "list", "scroll"),
    "beside": ("list", "scroll"),
    "curate": ("table", "list", "scroll"),
    "factors": ("chart", "results", "list", "scroll"),
    "evaluation": ("table", "results", "list", "scroll"),
    "questions": ("table", "results", "list", "scroll"),
    "copies": ("table", "results", "list", "scroll"),
    "report": ("results", "list", "scroll"),
}
"""Screens, and the scopes of the keys that their parts bring."""

NAMED = {
    "escape": "Esc",
    "enter": "Enter",
    "space": "Space",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "backspace": "Backspace",
    "delete": "Del",
    "insert": "Ins",
}
"""Keys that write nothing, and blanks, as they are named on a keyboard."""
_LETTERS = {
    "slash": "/",
    "backslash": "\\",
    "plus": "+",
    "minus": "-",
    "underscore": "_",
    "at": "@",
}
"""What Textual's `key_to_character` does not know of its own names."""


def letter_of(key: str) -> str | None:
    """What a key writes: "/" for "slash"; None for one that writes nothing."""
    letter = key if len(key) == 1 else _LETTERS.get(key) or key_to_character(key)
    return letter if letter and letter.isprintable() else None


def written(key: str) -> str:
    """A key as a person reads it: "Esc", "^C", "?", "F1"."""
    *others, last = key.split("+") if len(key) > 1 else [key]
    shown = NAMED.get(last) or letter_of(last) or last.capitalize()
    if others == ["ctrl"]:
        return f"^{shown.upper()}"
    return "+".join([*map(str.capitalize, others), shown])


class Key(NamedTuple):
    """A key binding: the keys, what they do, and where. There are hundreds: a tuple is made in a
    third of the time that a dataclass takes."""

    scope: Scope
    keys: str
    action: str
    label: str
    """One or two words for the footer."""
    help: str
    footer: bool = False
    opens: bool = False
    """Whether it leads to another screen, to a form or to a list to choose from. Only such keys are
    capital letters; besides them `G`, the last line, as in every pager."""

    @property
    def id(self) -> str:
        """Names the binding, so that it can be remapped: "run.metric", "run.metric.-1"."""
        name = self.action.removeprefix("app.").replace("(", ".").rstrip(")")
        return f"{self.scope}.{name.lower()}"

    def names(self, keymap: Mapping[str, str]) -> list[str]:
        """What Textual calls its keys."""
        return [name.strip() for name in keymap.get(self.id, self.keys).split(",")]

    def letters(self, keymap: Mapping[str, str]) -> set[str]:
        """Its keys by their letters, where they have one: "/" and "slash" are the same key."""
        return {letter_of(name) or name for name in self.names(keymap)}

    def display(self, keymap: Mapping[str, str]) -> str:
        """The keys as a person reads them."""
        return " ".join(map(written, self.names(keymap)))

    def first(self, keymap: Mapping[str, str]) -> str:
        """The first of its keys, as a person reads it."""
        return self.display(keymap).split(" ")[0]


_TRACED = "list what of the answer stands word for word in the training data, and where"

KEYS: tuple[Key, ...] = (
    Key("runs", "slash", "filter", "Find", "show only runs with some words", True),
    Key("runs", "o", "sort", "Order", "sort by the next column", True),
    Key("runs", "b", "reverse", "Reverse", "turn the order around"),
    Key("runs", "asterisk", "pin", "Pin", "keep the run at the top, or let it go", True),
    Key("runs", "v", "chart", "View", "show or hide the loss of the marked runs", True),
    Key("runs", "m", "metric", "Metric", "draw the next metric", True),
    Key("runs", "C", "compare", "Compare", "put the marked runs side by side", True, opens=True),
    Key("runs", "d", "clone", "Duplicate", "make a new run with this one's settings", True),
    Key("runs", "N", "new", "New", "make a run of your own text and model", True, opens=True),
    Key("runs", "z", "archive", "Archive", "put the run away, or bring it back", True),
    Key(
        "runs",
        "Z",
        "shelf",
        "Archived",
        "the runs that were put away, or the others again",
        opens=True,
    ),
    Key("runs", "delete,backspace", "delete", "Remove", "delete the run for good", True),
    Key("runs", "S", "settings", "Settings", "edit the run's settings", True, opens=True),
    Key("runs", "e", "remarks", "Edit", "edit the run's tags and the note on it", True),
    Key(
        "runs",
        "escape",
        "leave",
        "Back",
        "end the filter, or come back from the archive",
        True,
    ),
    Key("compare", "1", "part(0)", "Page 1", "settings that differ"),
    Key("compare", "2", "part(1)", "Page 2", "results, with intervals where they have any"),
    Key("compare", "3", "part(2)", "Page 3", "rankings for a prompt that all of them trace"),
    Key("compare", "4", "part(3)", "Page 4", "curves over each other"),
    Key("compare", "5", "part(4)", "Page 5", "how likely each run finds the completions"),
    Key("compare", "n", "prompt(1)", "Next", "the next prompt", True),
    Key("compare", "p", "prompt(-1)", "Previous", "the prompt before", True),
    Key("compare", "m", "metric", "Metric", "draw the next metric", True),
    Key("compare", "escape", "leave", "Back", "back to the runs", True),
    Key("run", "a", "run_all", "Run all", "run every stage that is not up to date", True),
    Key("run", "s", "run_stage", "Run stage", "run the selected stage and what it needs", True),
    Key("run", "r", "resume", "Resume", "go on with what stopped, from its last checkpoint", True),
    Key("run", "c", "cancel", "Cancel", "stop the stage at work; pressed again, kill it", True),
    Key(
        "run",
        "I",
        "rankings",
        "Influence",
        "browse which examples taught an answer",
        True,
        opens=True,
    ),
    Key(
        "run",
        "A",
        "ask",
        "Ask",
        "put a new prompt, and see what taught the answer",
        True,
        opens=True,
    ),
    Key("run", "F", "factors", "Factors", "browse the spectra of the curvature", True, opens=True),
    Key("run", "E", "evaluation", "Evaluation", "compare base and trained model", True, opens=True),
    Key("run", "R", "report", "Report", "read the report", True, opens=True),
    Key("run", "f", "from_here", "From here", "run the selected stage and all after it", True),
    Key("run", "m", "metric", "Metric", "draw the next metric", True),
    Key("run", "1", "page(0)", "Page 1", "what the selected stage does, needs and made"),
    Key("run", "2", "page(1)", "Page 2", "the log: what the selected stage has written"),
    Key("run", "slash", "find", "Find", "search the log"),
    Key("run", "n", "next_match", "Next", "the next line of the log that the search found"),
    Key("run", "p", "next_match(-1)", "Previous", "the line that the search found before"),
    Key(
        "run",
        "D",
        "devices",
        "Devices",
        "every GPU with its last minutes, processes, host",
        True,
        opens=True,
    ),
    Key(
        "run",
        "C",
        "compare",
        "Compare",
        "put it beside the run that it was cloned from",
        opens=True,
    ),
    Key("run", "S", "settings", "Settings", "edit the settings of this run", True, opens=True),
    Key("run", "P", "prompts", "Prompts", "edit the prompts of this run", True, opens=True),
    Key("run", "escape", "leave", "Back", "end the search, or back to the runs", True),
    Key("settings", "w", "save", "Save", "show what changes, then write it", True),
    Key("settings", "left", "choice(-1)", "Previous", "the value before, where they are named"),
    Key("settings", "right", "choice", "Next", "the next value, where they are named"),
    Key("settings", "u", "take_back", "Undo", "put back what is saved", True),
    Key("settings", "delete,backspace", "default", "Default", "put back the default", True),
    Key("settings", "i", "plan", "Import", "take in what the run's plan advises"),
    Key("settings", "slash", "filter", "Find", "show only settings with some words", True),
    Key("settings", "P", "prompts", "Prompts", "edit the prompts", True, opens=True),
    Key("settings", "escape", "leave", "Back", "one step out", True),
    Key("prompts", "N", "add", "New", "write a new prompt", True, opens=True),
    Key("prompts", "d", "copy", "Duplicate", "a new prompt like this one", True),
    Key("prompts", "delete,backspace", "remove", "Remove", "take the prompt out", True),
    Key(
        "prompts",
        "underscore",
        "part_words",
        "Add space",
        "put the missing space before the completion",
    ),
    Key("prompts", "i", "import", "Import", "add the prompts of a file or folder", True),
    Key("prompts", "w", "save", "Save", "show what changes, then write it", True),
    Key("prompts", "escape", "leave", "Back", "back out", True),
    Key("rankings", "M", "method", "Method", "choose by what to rank", True, opens=True),
    Key("rankings", "slash", "filter", "Find", "show only examples with some words", True),
    Key("rankings", "b", "end", "Reverse", "turn the order around: the lowest scores first", True),
    Key("rankings", "o", "sort", "Order", "sort by score, tokens, near-duplicates or place", True),
    Key("rankings", "number_sign", "rank", "Rank", "go to an example by its rank", True),
    Key(
        "rankings",
        "A",
        "ask",
        "Ask",
        "put the prompt to the model, or one like it",
        True,
        opens=True,
    ),
    Key("rankings", "n", "relevant", "Next", "the next example with ★: it states the answer", True),
    Key("rankings", "p", "relevant(-1)", "Previous", "the example with ★ before"),
    Key("rankings", "escape", "leave", "Back", "go back out", True),
    Key("rankings", "C", "compare", "Compare", "put it beside another ranking", True, opens=True),
    Key("beside", "n", "difference", "Next", "the next example that is only here or moved", True),
    Key("beside", "p", "difference(-1)", "Previous", "the one before", True),
    Key("beside", "left,right", "other", "Other side", "to the other list", True),
    Key("beside", "b", "end", "Reverse", "turn both orders around: opponents first", True),
    Key("beside", "escape", "leave", "Back", "back to the ranking", True),
    Key("ask", "e", "prompt", "Edit", "write a prompt, or what is traced after it", True),
    Key(
        "ask",
        "H",
        "history",
        "History",
        "ask again what was asked before",
        True,
        opens=True,
    ),
    Key("ask", "M", "method", "Method", "choose by what to rank", True, opens=True),
    Key("ask", "slash", "filter", "Find", "show only examples with some words", True),
    Key("ask", "b", "end", "Reverse", "turn the order around: opponents first", True),
    Key("ask", "o", "sort", "Order", "sort by score, tokens, group or corpus", True),
    Key("ask", "v", "template", "View", "the prompt as the chat template writes it, or as asked"),
    Key("ask", "t", "trace", "Trace", _TRACED, True),
    Key("ask", "s", "index", "Run stage", "run what is missing for questions: the index", True),
    Key("ask", "escape", "leave", "Back", "end the filter, or go back out", True),
    Key("example", "n,right", "step(1)", "Next", "the next example of the table", True),
    Key("example", "p,left", "step(-1)", "Previous", "the example before", True),
    Key("example", "space", "mark", "Mark", "mark it, or take its mark away", True),
    Key(
        "example", "h", "tokens", "Highlight", "what each token adds: colours, signs, or off", True
    ),
    Key("example", "v", "part", "View", "the next of the panels beside the text", True),
    Key("example", "t", "trace", "Trace", _TRACED, True),
    Key("example", "0", "document", "All", "show the whole document, or the example alone", True),
    Key(
        "example",
        "M",
        "method",
        "Method",
        "choose a method or layer to see it by",
        True,
        opens=True,
    ),
    Key("example", "escape", "leave", "Back", "back to the ranking", True),
    Key(
        "taking",
        "x",
        "export(True)",
        "Export",
        "write the marked examples, or all, to a file",
        True,
    ),
    Key(
        "taking",
        "X",
        "export(False)",
        "Export all",
        "write all examples shown to a file",
        opens=True,
    ),
    Key("taking", "y", "copy", "Copy", "the marked examples, or this one, to the clipboard", True),
    Key(
        "proving",
        "V",
        "prove",
        "Prove",
        "train again without the marked examples, or the first 5 shown",
        True,
        opens=True,
    ),
    Key(
        "curating",
        "K",
        "curate",
        "Curate",
        "sort the training data by the prompt or set: what goes, what stays",
        True,
        opens=True,
    ),
    Key("curate", "e", "amount", "Edit", "how many rows go, or what share of them stays", True),
    Key("curate", "M", "method", "Method", "choose by what to rank", True, opens=True),
    Key("curate", "ampersand", "alike", "Alike", "drop near-duplicates too, or keep them", True),
    Key(
        "curate",
        "w",
        "save",
        "Save",
        "write both parts to a folder, and make a run on what stays",
        True,
    ),
    Key("curate", "escape", "leave", "Back", "go back out", True),
    Key("factors", "v", "view", "View", "show the curve, the map or the figures alone", True),
    Key(
        "factors",
        "percent_sign",
        "cumulative",
        "Share",
        "the eigenvalues, or shares of their sum",
        True,
    ),
    Key("factors", "1", "kind(0)", "Page 1", "Λ: the curvature that the scores are divided by"),
    Key("factors", "2", "kind(1)", "Page 2", "the activations' covariance"),
    Key("factors", "3", "kind(2)", "Page 3", "the gradients' covariance"),
    Key(
        "factors", "M", "strategy", "Method", "the next strategy that was fitted", True, opens=True
    ),
    Key("factors", "n", "layer(1)", "Next", "the same module one layer further", True),
    Key("factors", "p", "layer(-1)", "Previous", "the same module one layer back"),
    Key(
        "factors",
        "space",
        "compare",
        "Mark",
        "compare it with each layer or module that you go to",
        True,
    ),
    Key(
        "factors",
        "less_than_sign",
        "clip",
        "Clip",
        "end the map's colours at the next percentile",
    ),
    Key("factors", "escape", "leave", "Back", "go back out", True),
    Key("evaluation", "1", "part(0)", "Page 1", "metrics: text metrics of both models"),
    Key("evaluation", "2", "part(1)", "Page 2", "answers: both models' side by side"),
    Key("evaluation", "3", "part(2)", "Page 3", "benchmarks: scores of public benchmarks"),
    Key("evaluation", "4", "part(3)", "Page 4", "validation: experiments that test the rankings"),
    Key(
        "evaluation",
        "h",
        "differences",
        "Highlight",
        "mark differences from the expected answer, or from the other model's",
        True,
    ),
    Key(
        "evaluation",
        "A",
        "ask",
        "Ask",
        "trace the trained model's answer in the Ask screen",
        True,
        opens=True,
    ),
    Key("evaluation", "t", "trace", "Trace", _TRACED, True),
    Key("evaluation", "slash", "filter", "Find", "show only rows with some words", True),
    Key("evaluation", "x", "export", "Export", "write the rows as they are shown to a file", True),
    Key("evaluation", "R", "report", "Report", "read the report", True, opens=True),
    Key("evaluation", "escape", "leave", "Back", "end the filter, or go back out", True),
    Key(
        "questions",
        "t",
        "trace",
        "Trace",
        "make a prompt of it with the model's answer or the right one, to find what taught it",
        True,
    ),
    Key(
        "questions",
        "A",
        "ask",
        "Ask",
        "put the question to the trained model now",
        True,
        opens=True,
    ),
    Key(
        "questions",
        "v",
        "which",
        "View",
        "all, those the trained model misses, or where the models differ",
        True,
    ),
    Key("questions", "slash", "filter", "Find", "show only questions with some words", True),
    Key("questions", "escape", "leave", "Back", "end the filter, or go back out", True),
    Key("copies", "slash", "filter", "Find", "show only lines with some words", True),
    Key("copies", "escape", "leave", "Back", "back to the table, or to the answer", True),
    Key(
        "report",
        "B",
        "open",
        "Browser",
        "open the page in a browser on this machine",
        True,
        opens=True,
    ),
    Key("report", "v", "view", "View", "show the next columns of tables that are too wide", True),
    Key("report", "x", "export", "Export", "copy the report to a file", True),
    Key("report", "slash", "filter", "Find", "show only sections with some words", True),
    Key("report", "escape", "leave", "Back", "end the filter, or go back out", True),
    Key("results", "enter", "run_missing", "Run it", "where results are missing, run their stage"),
    Key("results", "f5", "renew", "Renew", "show what stages have written since"),
    Key(
        "table", "o", "sort", "Order", "sort by the next column, at last in the file's order", True
    ),
    Key("table", "b", "reverse", "Reverse", "turn the order around"),
    Key("marks", "space", "mark", "Mark", "mark the line, or take its mark away", True),
    Key("curves", "comma", "axis", "X axis", "draw by steps, by tokens or by time"),
    Key("curves", "tilde", "smooth", "Smooth", "smooth the curves more, at last not at all"),
    Key("chart", "l", "log_scale", "Log scale", "draw on a logarithmic scale"),
    Key("chart", "plus,equals_sign", "zoom(0.5)", "Zoom in", "show fewer steps"),
    Key("chart", "minus", "zoom(2)", "Zoom out", "show more steps"),
    Key("chart", "left", "pan(-0.25)", "Earlier", "earlier steps, or the point before"),
    Key("chart", "right", "pan(0.25)", "Later", "later steps, or the next point"),
    Key("chart", "0", "whole", "All", "show all steps, and follow"),
    Key("chart", "full_stop", "inspect", "Point", "tell the readings at a point, or stop"),
    Key("list", "enter", "choose", "Open", "go into what the line shows", True),
    Key("stages", "enter", "choose", "Large", "give the stage's page the whole screen, and back"),
    Key("scroll", "j,down", "move(1)", "Down", "down one line"),
    Key("scroll", "k,up", "move(-1)", "Up", "up one line"),
    Key("scroll", "pagedown", "page(1)", "Page down", "down one page"),
    Key("scroll", "pageup", "page(-1)", "Page up", "up one page"),
    Key("scroll", "g,home", "jump(0)", "First", "the first line"),
    Key("scroll", "G,end", "jump(-1)", "Last", "the last line"),
    Key("entry", "enter", "submit", "Accept", "take what is written", True),
    Key("help", "escape", "leave", "Close", "back to the screen", True),
    Key("form", "f2", "accept", "Accept", "take what is written", True),
    Key("form", "escape", "leave", "Back", "leave it as it was", True),
    Key("dialog", "y", "answer(True)", "Yes", "do it", True),
    Key("dialog", "n,escape", "answer(False)", "No", "leave it", True),
    Key("app", "question_mark,f1", "app.keys", "Help", "show all keys", True),
    Key("app", "colon", "app.command_palette", "Commands", "find a command by name"),
    Key("app", "ctrl+l", "app.repaint", "Repaint", "draw the whole screen anew"),
    Key("app", "q,ctrl+c", "app.leave", "Quit", "leave; what runs goes on", True),
)
"""One letter, one meaning: a key that writes something has the same label on all screens. Small
letters do something to what is shown, capital letters lead to something else, digits turn pages."""

KEY = {key.id: key for key in KEYS}
"""Keys by the names of what they do."""

HINTS: dict[Scope, str] = {
    "runs": "{list.choose} opens a run · {marks.mark} marks it for the chart and for "
    "{runs.compare}, side by side\n{app.command_palette} finds any command · {app.keys} shows "
    "every key",
    "run": "{run.run_all} runs every stage, {run.run_stage} the selected one; they outlive this "
    "screen\n{run.metric} draws another metric, {chart.zoom.0.5} zooms in · {run.rankings} shows "
    "what taught an answer",
    "settings": "{list.choose} edits a value in its place · {settings.choice} steps through named "
    "ones\nnothing is written before {settings.save} and a look at what changes",
    "factors": "{factors.compare} compares this layer or module with others · {factors.layer.1} "
    "goes one layer on\n{factors.kind.0} {factors.kind.1} {factors.kind.2} and {factors.strategy} "
    "change what is drawn, {factors.cumulative} shows shares of the sum",
    "evaluation": "{evaluation.part.0} {evaluation.part.1} {evaluation.part.2} "
    "{evaluation.part.3} turn the pages · {table.sort} sorts\n{list.choose} on a "
    "benchmark shows its questions, any of which can be traced",
    "rankings": "{list.choose} opens a prompt, then an example · {rankings.method} changes the "
    "method\n{rankings.filter} filters · {marks.mark} marks · {proving.prove} proves it · "
    "{curating.curate} takes it out of the data",
    "ask": "{ask.prompt} writes a question · {ask.history} lists those asked before\n"
    "{list.choose} on an example reads it · {marks.mark} marks · {taking.export.true} exports",
    "curate": "{curate.amount} says how much goes or stays · {curate.method} ranks by another "
    "method\n{curate.save} writes both parts to a folder, and makes a run on what stays",
    "prompts": "{prompts.add} writes a prompt, {prompts.import} takes in a file\nnothing is "
    "written before {prompts.save} and a look at what changes",
}
"""What is told the first time that a person sees a screen."""


def hint(scope: Scope, keymap: Mapping[str, str]) -> str:
    """A screen's hint, with the keys as they are now; empty where it has none."""
    return with_keys(HINTS.get(scope, ""), keymap)


def keymap_of(app: object) -> Mapping[str, str]:
    """The person's own keys, in an app that has such."""
    keymap: Mapping[str, str] = getattr(app, "keymap", {})
    return keymap


def with_keys(text: str, keymap: Mapping[str, str]) -> str:
    """A text that names actions, as in "{runs.shelf} shows it", with the first key of each."""
    return re.sub(r"\{([^}]+)\}", lambda match: KEY[match[1]].first(keymap), text)


def keys(*scopes: Scope) -> list[Key]:
    """The keys of some scopes, in the table's order."""
    return [key for key in KEYS if key.scope in scopes]


def bindings(scope: Scope) -> list[BindingType]:
    """The keys of a scope as Textual wants them."""
    return [_binding(key) for key in keys(scope)]


def keys_toml() -> str:
    """Every key as a line of a settings file, commented out."""
    width = max(len(key.id) for key in KEYS) + 2
    lines = (
        f"# {json.dumps(key.id):<{width}} = {json.dumps(key.keys)}  # {key.help}" for key in KEYS
    )
    return "\n".join(["[keys]", *lines])


def _binding(key: Key) -> Binding:
    return Binding(
        key.keys,
        key.action,
        key.label,
        show=key.footer,
        id=key.id,
        tooltip=key.help,
    )
