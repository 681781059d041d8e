"""What goes over a slow line."""

from __future__ import annotations

import pytest
from textual.screen import Screen

from tui.screens.ask import AskScreen
from tui.screens.evaluation import EvaluationScreen
from tui.screens.example import ExampleScreen
from tui.screens.factors import FactorsScreen
from tui.screens.questions import QuestionsScreen
from tui.screens.rankings import RankingsScreen
from tui.screens.report import ReportScreen

SCREENS = (AskScreen, EvaluationScreen, ExampleScreen, FactorsScreen, QuestionsScreen,
           RankingsScreen, ReportScreen)  # fmt: skip


@pytest.mark.parametrize("screen", SCREENS)
def test_what_a_screen_remembers_does_not_paint_the_whole_of_it(screen: type[Screen[None]]) -> None:
    """Textual does so unless told otherwise: a letter of a filter sent all lines twice."""
    own = screen._reactives.items() - Screen._reactives.items()
    assert [name for name, reactive in own if reactive._repaint] == []
