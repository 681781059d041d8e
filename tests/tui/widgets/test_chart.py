"""The chart shows what a person must not miss."""

from __future__ import annotations

import math

from textual.app import App, ComposeResult

from tui.widgets.chart import LossChart


class ChartApp(App[None]):
    """A chart alone."""

    def compose(self) -> ComposeResult:
        yield LossChart()


async def drawn(loss: list[float], validation: dict[int, float], log: bool = False) -> list[str]:
    app = ChartApp()
    async with app.run_test(size=(60, 15)):
        chart = app.query_one(LossChart)
        for step, value in enumerate(loss):
            chart.loss.append(step, value)
        for step, value in validation.items():
            chart.validation_loss.append(step, value)
        chart.log_scale = log
        return [chart.render_line(y).text for y in range(15)]


async def test_one_spike_of_many_readings_is_seen() -> None:
    values = [1.0] * 50_000
    values[31_234] = 8.0
    lines = await drawn(values, {})
    top = lines[1]
    assert top.startswith("     8 │")
    assert sum(letter > "\u2800" for letter in top) == 1
    assert round(31_234 / 50_000 * 52) == next(i for i, x in enumerate(top[8:]) if x > "\u2800")


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
        assert any(letter > "\u2800" for line in await drawn(values, {}) for letter in line[8:])
