"""The chart shows what a person must not miss."""

from __future__ import annotations

import math

from textual.app import App, ComposeResult

from tui.content.plot import Series
from tui.readers.curve import Curve
from tui.widgets.chart import Chart


class ChartApp(App[None]):
    """A chart alone."""

    def compose(self) -> ComposeResult:
        yield Chart()


def curve_of(values: dict[int, float]) -> Curve:
    curve = Curve()
    for step, value in values.items():
        curve.append(step, value)
    return curve


def losses(loss: list[float], validation: dict[int, float]) -> tuple[Series, ...]:
    return (
        Series("train", curve_of(dict(enumerate(loss)))),
        Series("validation", curve_of(validation), "warn", "◆", dots=True),
    )


def lines_of(chart: Chart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


async def drawn(loss: list[float], validation: dict[int, float], log: bool = False) -> list[str]:
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = losses(loss, validation)
        chart.log_scale = log
        return lines_of(chart)


async def test_one_spike_of_many_readings_is_seen() -> None:
    values = [1.0] * 50_000
    values[31_234] = 8.0
    lines = await drawn(values, {})
    top = lines[1]
    assert top.startswith("      8 │")
    assert sum(letter > "\u2800" for letter in top) == 1
    assert round(31_234 / 50_000 * 52) == next(i for i, x in enumerate(top[9:]) if x > "\u2800")


async def test_what_is_said_of_nothing_is_said_in_full() -> None:
    app = ChartApp()
    async with app.run_test(size=(30, 15)):
        chart = app.query_one(Chart)
        chart.empty = "no loss yet: the train stage has reported none"
        assert " ".join(" ".join(lines_of(chart)).split()) == chart.empty


async def test_the_ends_of_both_axes_are_named() -> None:
    lines = await drawn([4.0, 3.0, 2.0], {2: 2.5})
    assert lines[0].split() == ["━", "train", "2", "◆", "validation", "2.5"]
    assert lines[-1].split() == ["0", "step", "2"]
    assert (lines[1].split()[0], lines[-3].split()[0]) == ("4", "2")


async def test_readings_that_are_no_numbers_are_marked_where_they_fell() -> None:
    lines = await drawn([4.0, 3.0, math.nan], {})
    assert "× 1 not a number" in lines[0]
    assert lines[1].endswith("×")


async def test_a_logarithmic_scale_has_the_geometric_mean_in_its_middle() -> None:
    lines = await drawn([10.0] * 10 + [0.1] * 10, {}, log=True)
    assert abs(float(lines[7].split()[0]) - 1.0) < 0.3


async def test_equal_and_single_readings_are_drawn() -> None:
    for values in ([2.0], [2.0, 2.0]):
        assert any(letter > "\u2800" for line in await drawn(values, {}) for letter in line[9:])


async def test_zooming_shows_fewer_steps_and_following_shows_new_ones() -> None:
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = losses([float(n) for n in range(1001)], {})
        chart.zoom(0.5)
        assert lines_of(chart)[-1].split() == ["500", "step", "1,000"]
        chart.series[0].curve.append(1100, 7.0)
        assert lines_of(chart)[-1].split() == ["666", "step", "1,166"]  # with room for more
        chart.move(-0.5)
        assert lines_of(chart)[-1].split() == ["416", "step", "916"]
        chart.series[0].curve.append(1200, 7.0)
        assert lines_of(chart)[-1].split() == ["416", "step", "916"]
        chart.whole()
        assert lines_of(chart)[-1].split() == ["0", "step", "1,272"]


async def test_a_growing_curve_leaves_its_axis_alone_while_there_is_room() -> None:
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = losses([float(n) for n in range(1001)], {})
        axes = []
        for step in range(1001, 1061):
            chart.series[0].curve.append(step, 7.0)
            axes.append(lines_of(chart)[-1].split()[-1])
        assert set(axes) == {"1,062"}


async def test_a_point_is_inspected_and_the_gaps_too() -> None:
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = losses([5.0, 4.0, 3.0, math.nan], {1: 4.5})
        chart.inspect()
        assert "step 3" in lines_of(chart)[0]
        assert "train not a number" in lines_of(chart)[0]
        chart.move(-1)
        chart.move(-1)
        assert "train 4 " in lines_of(chart)[0]
        assert "validation 4.5" in lines_of(chart)[0]
        assert any("┊" in line for line in lines_of(chart))
        chart.inspect()
        assert "step 1 " not in lines_of(chart)[0]


async def test_several_lines_are_told_apart_without_colour() -> None:
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = tuple(
            Series(name, curve_of({n: level for n in range(50)}), "s0", mark)
            for name, level, mark in (("one", 1.0, "●"), ("two", 2.0, "■"))
        )
        lines = lines_of(chart)
        assert lines[0].split() == ["●", "one", "1", "■", "two", "2"]
        assert lines[1].count("■") > 3
        assert lines[-3].count("●") > 3
