"""Before a pass: does an example's gradient depend on its batch mates, or on the precision?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.contract.results.factors import GradientErrors
from pipeline.contract.run.events import EventReader, Note, Warned
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.fitting import fit
from pipeline.influence.preflight import preflight, warnings

from .architectures import exact_analyzer, rows_of
from .conftest import MakeAnalyzer


def checked(analyzer: InfluenceAnalyzer, examples: TokenDataset) -> GradientErrors:
    return preflight(analyzer, examples, analyzer.settings.factors)


def test_in_float32_an_examples_gradient_is_its_own(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    found = checked(make_analyzer(), examples)
    assert found.batch_mates < 1e-5
    assert found.precision == 0
    assert not list(warnings(found, "factors"))


def test_a_model_that_mixes_its_batch_is_found_out(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    analyzer = make_analyzer()

    def less_the_mean(_module: object, _inputs: object, output: Tensor) -> Tensor:
        return output - output.mean(dim=0, keepdim=True) / 2

    analyzer.kronfluence.model.model.norm.register_forward_hook(less_the_mean)
    found = checked(analyzer, examples)
    assert found.batch_mates > 0.1
    (message,) = warnings(found, "factors")
    assert "batch mates" in message
    assert 'factors.amp_dtype = "none"' in message


def test_experts_that_the_example_does_not_reach_are_not_looked_at(tmp_path: Path) -> None:
    """Their gradient is zero, and zero differs from zero by nothing, whatever the precision."""
    halves: dict[str, object] = {"amp_dtype": "bfloat16", "batch_size": 2}
    analyzer = exact_analyzer(
        "mixtral of many experts", tmp_path, modules={"group": "mlp"}, factors=halves
    )
    analyzer.kronfluence.model.to(dtype=torch.float32)
    assert checked(analyzer, rows_of("examples")).precision > 2**-8 / 10


@pytest.mark.parametrize(("amp", "error"), [("bfloat16", 2**-8), ("float16", 2**-11)])
def test_half_precision_shows_in_the_figure(
    make_analyzer: MakeAnalyzer, examples: TokenDataset, amp: str, error: float
) -> None:
    found = checked(make_analyzer(factors={"amp_dtype": amp}), examples)
    assert error / 10 < found.precision < error * 10


def test_gradients_that_vanish_in_half_precision_are_warned_of(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    """On a CPU nothing scales the loss before float16 rounds its gradients to 0."""
    analyzer = make_analyzer(factors={"amp_dtype": "float16"})
    with torch.no_grad():
        analyzer.kronfluence.model.lm_head.weight.mul_(1e-8)
    found = checked(analyzer, examples)
    assert found.precision > 0.1
    assert any("float32" in message for message in warnings(found, "factors"))


def test_it_leaves_no_gradients_behind(make_analyzer: MakeAnalyzer, examples: TokenDataset) -> None:
    analyzer = make_analyzer()
    checked(analyzer, examples)
    names = [n for n, p in analyzer.kronfluence.model.named_parameters() if p.requires_grad]
    assert all(name.endswith("_constant") for name in names)


def test_one_example_is_its_own_mate(make_analyzer: MakeAnalyzer, examples: TokenDataset) -> None:
    assert checked(make_analyzer(), examples.subset([0])).batch_mates < 1e-5


def test_what_memory_a_pass_takes_is_said_before_it(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    analyzer = make_analyzer()
    fit(analyzer, "ekfac", examples)
    notes = [e.message for e in EventReader(analyzer.run.events).read() if isinstance(e, Note)]
    covariance, squares = notes
    # 3 modules of 16 → 24 or back in each of 2 layers, float32
    assert covariance.startswith(
        f"ekfac covariance: about {6 * (16**2 + 24**2) * 4 / 1024:.0f} KiB"
    )
    assert squares.startswith("ekfac lambda: about ")


def test_matrices_that_memory_cannot_hold_are_warned_of(
    make_analyzer: MakeAnalyzer, examples: TokenDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.influence.analyzer.free_bytes", lambda _device: 1000)
    analyzer = make_analyzer()
    fit(analyzer, "ekfac", examples)
    told = [e.message for e in EventReader(analyzer.run.events).read() if isinstance(e, Warned)]
    assert any("factors.covariance_module_partitions take less" in message for message in told)


def test_tf32_holds_for_the_passes_alone(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    analyzer = make_analyzer(run={"device": "cpu", "tf32": True})
    during: set[str] = set()
    task = analyzer.kronfluence.task
    plain: Callable[..., Tensor] = task.compute_train_loss

    def watched(*args: object, **kwargs: object) -> Tensor:
        during.add(torch.get_float32_matmul_precision())
        return plain(*args, **kwargs)

    task.compute_train_loss = watched
    fit(analyzer, "ekfac", examples)
    assert during == {"high"}
    assert torch.get_float32_matmul_precision() == "highest"
