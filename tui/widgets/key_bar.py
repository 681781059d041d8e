"""The keys that work now, on the last line: what has no room is left out, help and quit never."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.binding import ActiveBinding, Binding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui.content.ink import Part
from tui.keys import letter_of, written
from tui.widgets.inked import Inked

_ALWAYS = ("app.keys", "app.leave")
_ON_LINE = ("choose", "mark", "submit")
_GAP = "  "
_MORE = f"…{_GAP}"


class KeyBar(Inked):
    """`s Stage  i Influence …  ? Help  q Quit`, each of which can be clicked."""

    def on_mount(self) -> None:
        """Follows what has the focus, and what makes sense."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.refresh_changed()

    def draw_line(self, y: int) -> Strip:
        """The line."""
        parts: list[Part] = [(" ", "plain")]
        for binding in self._offers():
            if binding is None:
                parts.append((_MORE, "dim"))
            else:
                parts += [(written(binding.key), "key"), (f" {binding.description}{_GAP}", "dim")]
        return self.ink_strip(parts, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Does what the key under the mouse would do; what was left out is among the commands."""
        edge = 1
        for binding in self._offers():
            edge += self._cells(binding)
            if event.x < edge:
                if binding is None:
                    self.app.action_command_palette()
                else:
                    self.app.simulate_key(binding.key)
                return

    def _offers(self) -> list[Binding | None]:
        """What fits; None stands for what was left out."""
        offered: dict[str, Binding] = {}
        screen, focused = self.screen, self.screen.focused
        named = (one for one in screen.active_bindings.values() if one.binding.show and one.enabled)
        for active in sorted(named, key=lambda one: _rank(one, screen)):
            if not _is_typed(active.binding.key, focused):
                offered.setdefault(active.binding.action, active.binding)
        kept = [b for b in offered.values() if b.action in _ALWAYS]
        others = [b for b in offered.values() if b.action not in _ALWAYS]
        room = self.size.width - 1 + len(_GAP) - sum(map(self._cells, kept))  # none behind the last
        if sum(map(self._cells, others)) <= room:
            return [*others, *kept]
        room -= len(_MORE)
        shown: list[Binding | None] = []
        for binding in others:
            room -= self._cells(binding)
            if room < 0:
                break
            shown.append(binding)
        return [*shown, None, *kept]

    def _cells(self, binding: Binding | None) -> int:
        if binding is None:
            return len(_MORE)
        return cell_len(written(binding.key)) + cell_len(f" {binding.description}{_GAP}")


def _rank(active: ActiveBinding, screen: Screen[object]) -> int:
    """What acts on the line under the cursor comes first, then the screen's own keys."""
    on_line = active.binding.action in _ON_LINE
    return 0 if on_line else 1 if active.node is screen else 2


def _is_typed(key: str, focused: Widget | None) -> bool:
    """Whether the key would go into a text that is being written."""
    return focused is not None and focused.check_consume_key(key, letter_of(key))
