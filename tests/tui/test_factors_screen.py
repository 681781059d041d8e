"""The factors: every key, at every size."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from pipeline.contract.results.factors import Coverage, FactorsSummary, write_factors_summary
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_factors, sample_run
from tests.tui.watching import screen_text, until, until_shown
from tui.app import HeadwaterApp
from tui.readers.curve import Curve
from tui.screens.factors import FactorsScreen
from tui.screens.run import RunScreen
from tui.widgets.chart import Chart
from tui.widgets.heat_map import HeatMap
from tui.widgets.module_list import ModuleList

FIRST = "0 · mlp.gate_proj · ekfac Λ"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A finished run with spectra."""
    run = sample_run.scored_run(tmp_path)
    sample_factors.write_spectra(run)
    return run


def app_of(run: RunDir) -> HeadwaterApp:
    return HeadwaterApp(run.root.parent, run)


async def open_factors(pilot: Pilot[None]) -> FactorsScreen:
    await until_shown(pilot, "Stages ·")
    await pilot.press("F")
    await until_shown(pilot, FIRST)
    screen = pilot.app.screen
    assert isinstance(screen, FactorsScreen)
    return screen


def drawn(screen: FactorsScreen) -> list[str]:
    return [one.name for one in screen.chart.series]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_modules_are_listed_by_layer_with_their_effective_rank(
    run: RunDir, size: tuple[int, int]
) -> None:
    app = app_of(run)
    async with app.run_test(size=size) as pilot:
        screen = await open_factors(pilot)
        text = screen_text(app)
        assert "Modules · 6" in text
        assert all(f"layer {n}" in text for n in range(3))
        assert screen.list.overview is not None
        first = screen.list.overview.spectra["ekfac", "model.layers.0.mlp.gate_proj", "lambda"]
        assert f"{first.statistics.effective_rank:.4g}" in text
        assert "  rank 1 " in text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_eigenvalues_lie_on_two_logarithmic_axes(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_factors(pilot)
        await pilot.press("2")
        await until_shown(pilot, "0 · mlp.gate_proj · ekfac activations")
        (series,) = screen.chart.series
        assert isinstance(series.curve, Curve)
        # the values are 3 / rank: equal steps of both logarithms
        assert series.curve.values[0] == pytest.approx(3.0)
        assert series.curve.values[-1] == pytest.approx(3 / 16)
        assert series.curve.steps[7] - series.curve.steps[3] == pytest.approx(
            series.curve.steps[3] - series.curve.steps[1]
        )
        await until_shown(pilot, "rank 1 ")
        await pilot.press("full_stop", "left")
        await until(pilot, lambda: screen.chart.inspected is not None)
        await pilot.press("l")
        await until(pilot, lambda: not screen.chart.log_scale)


async def test_shares_of_the_sum_rise_to_100_percent(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_factors(pilot)
        await pilot.press("percent_sign")
        await until_shown(pilot, "% of the sum")
        assert screen.chart.series[0].curve.last == pytest.approx(100.0)
        assert not screen.chart.log_scale
        await pilot.press("percent_sign")
        await until(pilot, lambda: screen.chart.log_scale)


async def test_what_is_drawn_is_named_in_words_and_ranks_are_aligned(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_factors(pilot)
        await until_shown(pilot, f"{FIRST}, eigenvalues")
        modules = screen.query_one(ModuleList)
        lines = ["".join(text for text, _ in modules.line(n, 30)) for n in range(modules.count)]
        ranks = [line for line in lines if "_proj" in line]
        assert {line[-2] for line in ranks} == {"."}
        await pilot.press("v")
        await until_shown(pilot, f"{FIRST}, eigenvalues")


async def test_a_strategy_shows_only_the_kinds_that_it_has(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await open_factors(pilot)
        await pilot.press("3")
        await until_shown(pilot, "ekfac gradients")
        await pilot.press("M")
        await until_shown(pilot, "0 · mlp.gate_proj · diagonal Λ")
        await pilot.press("2")
        await until_shown(pilot, "Activation covariance: diagonal has none")
        assert screen.kind == "lambda"
        await pilot.press("M")
        await until_shown(pilot, FIRST)


async def test_two_modules_are_compared_in_curve_map_and_figures(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_factors(pilot)
        await pilot.press("space", "n", "n")
        await until_shown(pilot, "2 · mlp.gate_proj · ekfac Λ")
        await until_shown(pilot, "◆ 0 · mlp.gate_proj")
        assert drawn(screen) == ["2 · mlp.gate_proj", "◆ 0 · mlp.gate_proj"]
        assert len(screen.query_one(HeatMap).tiles) == 2
        await until_shown(pilot, "ratio")
        await pilot.press("p")
        await until_shown(pilot, "1 · mlp.gate_proj · ekfac Λ")
        await pilot.press("escape")
        await until(pilot, lambda: drawn(screen) == ["1 · mlp.gate_proj"])


async def test_two_layers_are_compared_module_by_module(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_factors(pilot)
        await pilot.press("k", "space", "n")
        await until_shown(pilot, "layer 1 · ekfac Λ")
        await until_shown(pilot, "◆ layer 0")
        assert drawn(screen) == [
            "mlp.gate_proj",
            "mlp.down_proj",
            "◆ 0 · mlp.gate_proj",
            "◆ 0 · mlp.down_proj",
        ]
        inks = [one.ink for one in screen.chart.series]
        assert inks[:2] == inks[2:]
        await pilot.press("j")
        await until(pilot, lambda: drawn(screen) == ["1 · mlp.gate_proj", "◆ 0 · mlp.gate_proj"])


async def test_a_low_screen_shows_one_view_at_a_time(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_factors(pilot)
        parts = {"curve": "#curve", "map": "#map", "figures": "#numbers"}

        def only(wanted: str) -> bool:
            return [name for name, part in parts.items() if screen.query_one(part).size] == [wanted]

        for wanted in ("curve", "map", "figures", "curve"):
            await until(pilot, partial(only, wanted))
            await pilot.press("v")
        await pilot.press("v")
        await until_shown(pilot, "effective rank")
        await pilot.resize_terminal(120, 40)


async def test_the_map_has_its_largest_values_top_left_and_clips_at_percentiles(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_factors(pilot)
        app.theme = "headwater"
        heat = app.screen.query_one(HeatMap)
        await until_shown(pilot, "percentiles 1–99")
        shades = [
            segment.style.color.triplet
            for y in range(1, heat.size.height - 1)
            for segment in heat.draw_line(y)
            if segment.text.startswith("▀") and segment.style and segment.style.color
        ]
        assert shades[0] == (0xFD, 0xE7, 0x25)
        assert shades[-1] == (0x44, 0x01, 0x54)
        for told in ("5–95", "10–90", "0–100"):
            await pilot.press("less_than_sign")
            await until_shown(pilot, f"percentiles {told}")


@pytest.mark.parametrize("language", ["C.UTF-8", "C"])
async def test_a_terminal_of_few_colours_gets_shades(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setattr("textual.constants.COLOR_SYSTEM", "truecolor")
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_factors(pilot)
        monkeypatch.setenv("LC_ALL", language)
        app.theme = "headwater" if language == "C" else "headwater-16"
        heat = app.screen.query_one(HeatMap)
        lines = [heat.draw_line(y).text for y in range(heat.size.height)]
        assert "▓" in "".join(lines)
        assert "▀" not in "".join(lines)


async def test_without_spectra_it_says_what_to_do(tmp_path: Path) -> None:
    app = app_of(sample_run.new_run(tmp_path))
    async with app.run_test(size=(100, 24)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("F")
        await until_shown(pilot, "no spectra yet: the inspect stage has not finished")
        assert "prepare" not in screen_text(app)  # the screen below does not shine through


async def test_a_run_of_an_older_version_has_curves_but_no_maps(run: RunDir) -> None:
    run.lambda_maps.unlink()
    written = json.loads(run.done("inspect").read_text())
    run.done("inspect").write_text(json.dumps({**written, "format": 1}))
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_factors(pilot)
        await until_shown(pilot, "no maps: the inspect stage of an older version wrote none")


async def test_a_damaged_file_is_named_with_what_to_do(run: RunDir) -> None:
    run.eigenvalues.write_bytes(run.eigenvalues.read_bytes()[:-20])
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stages ·")
        await pilot.press("F")
        await until_shown(pilot, "inspect/eigenvalues.parquet is damaged")
        await until_shown(pilot, "headwater run inspect --force")


async def test_what_is_not_traced_is_told_under_the_figures(run: RunDir) -> None:
    left_out = "model.layers.{0-2}.mlp.experts.gate_up_proj"
    coverage = Coverage("mlp", 0.57, left_out)
    summary = FactorsSummary(("ekfac",), "true", (), 10, None, {}, coverage)
    write_factors_summary(run, summary)
    app = app_of(run)
    async with app.run_test(size=(200, 60)) as pilot:
        await open_factors(pilot)
        await until_shown(pilot, "57% of the MLP weights")
        await until_shown(pilot, "mlp.experts.gate_up_proj")


async def test_stale_spectra_say_so(run: RunDir) -> None:
    run.settings.write_text(run.settings.read_text().replace("\nepochs = ", "\nepochs = 1"))
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_factors(pilot)
        await until_shown(pilot, "≠ stale: the settings have changed since")


async def test_newer_factors_open_where_one_was(run: RunDir) -> None:
    app = app_of(run)
    async with app.run_test(size=(120, 40)) as pilot:
        before = await open_factors(pilot)
        await pilot.press("space", "n", "percent_sign")
        await until(pilot, lambda: len(drawn(before)) == 2)
        curves = drawn(before)
        await pilot.press("f5")
        await until(pilot, lambda: app.screen is not before)
        newer = app.screen
        assert isinstance(newer, FactorsScreen)
        await until(pilot, lambda: bool(newer.query(Chart)) and drawn(newer) == curves)
        assert newer.cumulative
        assert newer.compared == before.compared
