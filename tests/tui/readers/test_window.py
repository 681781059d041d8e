"""The part of a chart in view."""

from __future__ import annotations

from tui.readers.window import Window

SPAN = (0.0, 1000.0)


def test_zooming_keeps_the_step_under_the_cursor_in_its_place() -> None:
    window = Window(0, 1000).zoomed(0.5, SPAN, at=200)
    assert window == Window(100, 600)
    assert window.zoomed(0.5, SPAN, at=200) == Window(150, 400)


def test_zooming_out_far_enough_shows_everything() -> None:
    assert Window(100, 600).zoomed(4, SPAN, at=300) is None


def test_zooming_in_ends_at_a_few_steps() -> None:
    window = Window(0, 1000)
    for _ in range(40):
        window = window.zoomed(0.5, SPAN, at=500) or window
    assert window.width == 4


def test_a_window_at_the_end_follows_and_one_in_the_middle_stays() -> None:
    assert Window(800, 1000, follows=True).over((0, 1200)) == Window(1000, 1200, follows=True)
    assert Window(300, 500).over((0, 1200)) == Window(300, 500)


def test_panning_stops_at_the_ends() -> None:
    assert Window(100, 300).panned(-5, SPAN) == Window(0, 200)
    assert Window(100, 300).panned(9, SPAN) == Window(800, 1000, follows=True)


def test_a_step_out_of_view_is_brought_in() -> None:
    window = Window(100, 300)
    assert window.showing(200, SPAN) is window
    assert window.showing(400, SPAN) == Window(200, 400)
    assert window.showing(50, SPAN) == Window(50, 250)
