"""How far a ranking follows what says nothing about its prompt, in two short lines."""

from __future__ import annotations

from textual.content import Content

from pipeline.contract.results.controls import Agreement, Controls
from tui.readers.clean import clean

_CUT = 40


def controls_text(controls: Controls) -> Content:
    """`beside gradient size alone: ρ 0.12, 1 of the first 10 the same`, ρ being Spearman's rank
    correlation; warnings in their colour."""
    lines = [_line("gradient size alone", controls.size)]
    if controls.other is not None:
        name = clean(controls.other_prompt or "", _CUT)
        lines.append(_line(f"prompt {name}", controls.other))
    return Content("\n").join(lines)


def _line(what: str, found: Agreement) -> Content:
    correlation = "none" if found.correlation is None else f"{found.correlation:z.2f}"
    figures = f"ρ {correlation}, {found.shared} of the first {found.first}"
    if found.is_much:
        return Content.styled(f"! hardly more than {what} gives: {figures} the same", "$warning")
    return Content.styled(f"beside {what}: {figures} the same", "$secondary")
