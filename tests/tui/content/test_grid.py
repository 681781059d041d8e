"""Tables of the report: what fits is shown together, and nothing is lost."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from tui.content.grid import drawn, parts
from tui.readers.report import Grid

HEAD = ("Rank", "Score", "Text", *(f"method_{n}" for n in range(8)))
GRID = Grid(
    head=HEAD,
    right=(True, True, False, *(True,) * 8),
    rows=(
        ("★ 1", "47.22", "a long text about a town by the sea and its lighthouse", *"12345678"),
        ("1425", "-0.5", "東京の短い文\x1b[31m", *"87654321"),
    ),
)


@pytest.mark.parametrize("width", [30, 48, 76, 116, 300])
def test_every_column_is_in_one_part_and_the_first_in_all(width: int) -> None:
    shown = parts(GRID, width)
    assert all(part[0] == 0 for part in shown)
    assert sorted(column for part in shown for column in part[1:]) == list(range(1, len(HEAD)))
    for part in shown:
        text = drawn(GRID, part, width).plain
        assert all(cell_len(line) <= width for line in text.splitlines())
        assert "\x1b" not in text


def test_a_wide_screen_shows_all_at_once() -> None:
    assert parts(GRID, 300) == [tuple(range(len(HEAD)))]


def test_a_long_text_goes_on_below_itself_and_figures_stand_at_the_right() -> None:
    part = parts(GRID, 46)[0]
    lines = drawn(GRID, part, 46).plain.splitlines()
    assert lines[:3] == [
        "Rank  Score  Text",
        " ★ 1  47.22  a long text about a town by the",
        "             sea and its lighthouse",
    ]
    assert lines[3].startswith("1425  -0.5   東京")


def test_the_points_of_figures_stand_below_each_other() -> None:
    column = ("10.12", "5.96", "2.283", "–", "-0.8261")
    grid = Grid(
        ("Rank", "Score"), (True, True), tuple((str(n), one) for n, one in enumerate(column))
    )
    figures = [line for line in drawn(grid, (0, 1), 40).plain.splitlines() if "." in line]
    assert len({line.index(".") for line in figures}) == 1


def test_where_two_columns_are_too_wide_text_is_broken_and_no_figure_cut() -> None:
    grid = Grid(
        ("", "Before training"), (False, True), (("Validation loss (nats a token)", "7.646"),)
    )
    lines = drawn(grid, parts(grid, 40)[0], 40).plain.splitlines()
    assert lines[0].endswith("Before training")
    assert [line.split()[0] for line in lines[1:]] == ["Validation", "token)"]


def test_a_table_without_rows_or_with_one_column_is_drawn() -> None:
    empty = Grid(("a", "b"), (False, True), ())
    assert drawn(empty, parts(empty, 40)[0], 40).plain == "a  b"
    single = Grid(("a",), (False,), (("x" * 100,),))
    assert max(map(len, drawn(single, parts(single, 20)[0], 20).plain.splitlines())) == 20
