"""The chart shows what a person must not miss."""

from __future__ import annotations

import math

import pytest
from textual.app import App, ComposeResult

from tui.content.plot import Series
from tui.readers.curve import Curve
from tui.readers.format import number
from tui.terminal import plain
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


def add(chart: Chart, step: float, value: float) -> None:
    curve = chart.series[0].curve
    assert isinstance(curve, Curve)
    curve.append(step, value)


def view_of(chart: Chart) -> tuple[float, float]:
    assert chart.view
    return chart.view.first, chart.view.last


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
        chart.empty = "no loss yet: the train stage has not begun"
        assert " ".join(" ".join(lines_of(chart)).split()) == chart.empty


@pytest.mark.parametrize(("size", "told"), [((12, 15), "narrow"), ((40, 4), "low")])
async def test_readings_that_have_no_room_are_not_denied(size: tuple[int, int], told: str) -> None:
    app = ChartApp()
    async with app.run_test(size=size):
        chart = app.query_one(Chart)
        chart.empty = "no loss yet"
        chart.series = losses([3.0, 2.0, 1.0], {})
        shown = " ".join(" ".join(lines_of(chart)).split())
        assert shown == f"too {told} for a chart"


async def test_the_ends_of_both_axes_are_named() -> None:
    lines = await drawn([4.0, 3.0, 2.0], {2: 2.5})
    assert lines[0].split() == ["━", "train", "2", "◆", "validation", "2.5"]
    assert lines[-1].split() == ["step", "0", "1", "2"]
    assert (lines[1].split()[0], lines[-3].split()[0]) == ("4", "2")


async def test_a_low_chart_has_round_ticks_too() -> None:
    app = ChartApp()
    async with app.run_test(size=(78, 14)):
        chart = app.query_one(Chart)
        chart.series = losses([7.646, 4.0, 2.0, 1.064, 0.4992], {})
        labels = [line.split("│")[0].strip() for line in lines_of(chart) if "│" in line]
        assert list(filter(None, labels)) == ["6", "4", "2"]


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
        assert view_of(chart) == (500, 1000)
        assert lines_of(chart)[-1].split() == ["step", "600", "800", "1,000"]
        add(chart, 1100, 7.0)
        assert view_of(chart) == (666, 1166)  # with room for more
        chart.move(-0.5)
        assert view_of(chart) == (416, 916)
        add(chart, 1200, 7.0)
        assert view_of(chart) == (416, 916)
        chart.whole()
        assert view_of(chart) == (0, 1272)


async def test_a_growing_curve_leaves_its_axis_alone_while_there_is_room() -> None:
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = losses([float(n) for n in range(1001)], {})
        axes = []
        for step in range(1001, 1061):
            add(chart, step, 7.0)
            axes.append(view_of(chart))
        assert set(axes) == {(0, 1062)}


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


async def together(*curves: Curve) -> tuple[str, list[str]]:
    """The legend and the lines of some curves in one ink."""
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = tuple(
            Series(f"run-{n}", curve, "s0", mark)
            for n, (curve, mark) in enumerate(zip(curves, "●■▲", strict=False))
        )
        legend, *lines = lines_of(chart)
        return legend, lines


async def test_curves_that_coincide_are_all_seen_without_colour() -> None:
    falling = {n: 5.0 - n / 50 for n in range(200)}
    _, lines = await together(*(curve_of(falling) for _ in range(3)))
    for mark in "●■▲":
        assert sum(line.count(mark) for line in lines) >= 2
        assert sum(plain(line).count(plain(mark)) for line in lines) >= 2
    assert len(set(map(plain, "●■▲◆○□△◇"))) == 8
    assert plain("⠓") not in map(plain, "●■▲◆○□△◇")


async def test_short_curves_that_coincide_are_all_seen() -> None:
    _, lines = await together(*(curve_of({0: 3.0, 50: 2.0, 100: 1.0}) for _ in range(3)))
    for mark in "●■▲":
        assert sum(line.count(mark) for line in lines) >= 1


async def test_readings_in_one_and_the_same_place_are_told_of() -> None:
    legend, lines = await together(curve_of({0: 3.0}), curve_of({0: 3.0}))
    assert "≡ several in one place" in legend
    assert any("≡" in line for line in lines)


async def test_smoothing_takes_the_noise_and_leaves_the_trend() -> None:
    noisy = [10.0 - n / 100 + (1 if n % 2 else -1) for n in range(1000)]
    app = ChartApp()
    async with app.run_test(size=(61, 15)):
        chart = app.query_one(Chart)
        chart.series = losses(noisy, {})[:1]
        rough = sum(letter > "\u2800" for line in lines_of(chart) for letter in line)
        chart.smoothing = 0.05
        lines = lines_of(chart)
        assert sum(letter > "\u2800" for line in lines for letter in line) < rough / 2
        assert "smoothed over 5%" in str(chart.border_subtitle)
        assert lines[0].split() == ["━", "train", number(noisy[-1])]  # a reading, as it was
