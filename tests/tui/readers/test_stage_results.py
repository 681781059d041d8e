"""What a stage has made, in figures."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.results.generation import (
    Generation,
    ModelName,
    Perplexity,
    write_generation,
)
from tests.tui import sample_run
from tui.readers.stage_results import stage_results


def test_a_large_perplexity_has_its_thousands_apart(tmp_path: Path) -> None:
    run = sample_run.new_run(tmp_path)
    perplexities: dict[ModelName, Perplexity] = {
        "base": Perplexity(30_000.0, 32_145.6),
        "trained": Perplexity(2.5, 2.897),
    }
    sample_run.finish(run, "prepare", "train", "generate")
    write_generation(run, [], Generation(0, perplexities, 0, ()))
    told = dict(stage_results(run, "generate").figures)
    assert told["base model"] == "perplexity 32,146 on held-out text"
    assert told["trained model"] == "perplexity 2.897 on held-out text"
