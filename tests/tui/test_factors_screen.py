"""The factors: every key, at every size."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample_factors
import sample_run
from textual.pilot import Pilot
from watching import screen_text, until, until_shown

from pipeline.contract.run_dir import RunDir
from tui.app import HeadwaterApp
from tui.screens.factors import FactorsScreen
from tui.screens.run import RunScreen


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A finished run with spectra."""
    run = sample_run.scored_run(tmp_path)
    sample_factors.write_spectra(run)
    return run


async def open_factors(pilot: Pilot[None]) -> FactorsScreen:
    await until_shown(pilot, "Stages ·")
    await pilot.press("F")
    await until_shown(pilot, "0 · mlp.gate_proj · ekfac Λ")
    screen = pilot.app.screen
    assert isinstance(screen, FactorsScreen)
    return screen


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_modules_are_listed_by_layer_with_their_effective_rank(
    run: RunDir, size: tuple[int, int]
) -> None:
    app = HeadwaterApp(run.root.parent, run)
    async with app.run_test(size=size) as pilot:
        screen = await open_factors(pilot)
        text = screen_text(app)
        assert "Modules · 6" in text
        assert all(f"layer {n}" in text for n in range(3))
        figures = screen.list.overview.figures["ekfac", "model.layers.0.mlp.gate_proj", "lambda"]  # type: ignore[union-attr]
        assert f"{figures['effective_rank']:.4g}" in text
        assert "rank 768" in text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
