"""Matrices as cells of colour."""

from __future__ import annotations

import math
from array import array

import pytest

from pipeline.contract.results.lambda_maps import LambdaMap
from tui.content.heat import HeatScale, colour, reduced, shade


def heat_of(rows: list[list[float]]) -> LambdaMap:
    values = array("f", [value for row in rows for value in row])
    return LambdaMap(len(rows), len(rows[0]), len(rows), len(rows[0]), values)


def test_blocks_are_means_of_their_finite_values() -> None:
    heat = heat_of([[1, 3, 5, math.nan], [1, 3, 5, 7], [2, 2, math.nan, math.nan], [2, 2] * 2])
    assert reduced(heat, 2, 2) == [[2.0, pytest.approx(17 / 3)], [2.0, 2.0]]
    nothing = heat_of([[math.nan, 1.0]])
    assert math.isnan(reduced(nothing, 2, 1)[0][0])


def test_a_small_map_fills_many_cells() -> None:
    assert reduced(heat_of([[1.0, 2.0]]), 4, 2) == [[1.0, 1.0, 2.0, 2.0]] * 2


def test_the_scale_ends_at_percentiles_of_what_is_above_0() -> None:
    odd, others = [0.0, -1.0, math.nan, math.inf], [float(n) for n in range(101)]
    scale = HeatScale.of([heat_of([odd]), heat_of([[n + 1 for n in others]])], 99.0)
    assert scale == HeatScale(2.0, 100.0)
    assert scale is not None
    assert [scale.share(value) for value in (0.0, 2.0, 101.0)] == [0.0, 0.0, 1.0]
    assert scale.share(math.sqrt(200)) == pytest.approx(0.5)
    assert scale.share(math.nan) is None


def test_a_map_without_a_value_above_0_has_no_scale() -> None:
    assert HeatScale.of([heat_of([[0.0, math.nan]])], 99.0) is None
    assert HeatScale.of([], 99.0) is None


def test_colours_rise_in_lightness_and_shades_in_ink() -> None:
    light = [sum(colour(n / 20).get_truecolor()) for n in range(21)]
    assert light[0] < light[10] < light[20]
    assert [shade([share, share]) for share in (0.0, 0.25, 0.5, 0.7, 1.0)] == list(" ░▒▓█")
    assert shade([None, 1.0]) == "█"
    assert shade([None, None]) == "?"
