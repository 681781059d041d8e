"""Factors: padding and batch size leave no trace; memory that runs out is no end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kronfluence.analyzer import Analyzer
from safetensors.torch import load_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.beside_bergson import last_tokens_left_out
from pipeline.contract.errors import ResourceError, SettingsError, UsageError
from pipeline.contract.run.events import EventReader, Note, Progress, Warned
from pipeline.contract.run.run_dir import RunDir
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.eigendecompositions import CountedEigendecompositions
from pipeline.influence.fitting import fit
from pipeline.influence.passes import Pass
from tests.rounding import assert_same_in_float64

from .conftest import MakeAnalyzer, random_tokens


def factors(
    make_analyzer: MakeAnalyzer, examples: TokenDataset, strategy: str, **settings: object
) -> dict[str, dict[str, Tensor]]:
    """What a fit leaves behind, as plain Kronfluence reads it."""
    analyzer = make_analyzer(factors=settings, modules={"group": "all"})
    folder = analyzer.run.factors(strategy)
    for file in folder.glob("*"):
        file.unlink()
    fit(analyzer, strategy, examples)
    return {file.stem: Analyzer.load_file(file) for file in sorted(folder.glob("*.safetensors"))}


@pytest.mark.parametrize("fisher", ["true", "empirical"])
@pytest.mark.parametrize("strategy", ["ekfac", "diagonal"])
def test_padding_changes_no_factor(
    make_exact_analyzer: MakeAnalyzer, examples: TokenDataset, strategy: str, fisher: str
) -> None:
    alone = factors(make_exact_analyzer, examples, strategy, fisher=fisher, batch_size=1)
    padded = factors(make_exact_analyzer, examples, strategy, fisher=fisher, batch_size=14)
    for name in ("activation_covariance", "gradient_covariance", "lambda_matrix"):
        for module, matrix in padded.get(name, {}).items():
            if name == "lambda_matrix" and strategy == "ekfac":  # eigenvectors' signs are free
                continue
            assert_same_in_float64(matrix, alone[name][module])
    assert set(padded) == set(alone)


def test_every_token_is_counted_once_and_no_padding(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    found = factors(make_analyzer, examples, "ekfac", batch_size=14)
    for kind in ("activation", "gradient"):
        counts = found[f"num_{kind}_covariance_processed"].values()
        assert {int(count) for count in counts} == {sum(examples.lengths)}
    assert {int(n) for n in found["num_lambda_processed"].values()} == {len(examples)}


def test_the_tokens_that_are_counted_are_those_of_the_tasks_mask(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    with last_tokens_left_out():
        found = factors(make_analyzer, examples, "ekfac", batch_size=14)
    counts = found["num_activation_covariance_processed"].values()
    assert {int(count) for count in counts} == {sum(examples.lengths) - len(examples)}


def test_partitions_add_up_to_the_whole(
    make_exact_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    whole = factors(make_exact_analyzer, examples, "ekfac")
    parts = factors(
        make_exact_analyzer,
        examples,
        "ekfac",
        covariance_data_partitions=3,
        covariance_module_partitions=2,
        lambda_data_partitions=2,
        lambda_module_partitions=3,
    )
    for module, matrix in whole["gradient_covariance"].items():
        assert_same_in_float64(parts["gradient_covariance"][module], matrix)
        total = whole["lambda_matrix"][module].sum()
        assert_same_in_float64(parts["lambda_matrix"][module].sum(), total)


def test_the_fisher_kind_and_its_seed_matter(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    true = factors(make_analyzer, examples, "diagonal", fisher="true")
    again = factors(make_analyzer, examples, "diagonal", fisher="true")
    empirical = factors(make_analyzer, examples, "diagonal", fisher="empirical")
    for module, matrix in true["lambda_matrix"].items():
        assert torch.equal(matrix, again["lambda_matrix"][module])
        assert not torch.allclose(matrix, empirical["lambda_matrix"][module])


@pytest.mark.parametrize(
    ("setting", "value", "valid"),
    [("covariance_data_partitions", 15, "1 to 14"), ("lambda_module_partitions", 7, "1 to 6")],
)
def test_more_parts_than_there_is_to_part_are_refused(
    make_analyzer: MakeAnalyzer, examples: TokenDataset, setting: str, value: int, valid: str
) -> None:
    analyzer = make_analyzer(factors={setting: value})
    with pytest.raises(SettingsError, match=f"factors.{setting} = {value}.*{valid}"):
        fit(analyzer, "ekfac", examples)


def short_pass(analyzer: InfluenceAnalyzer) -> Pass:
    return Pass("a phase", analyzer.run.factors("ekfac"), lambda **_: False, "factors.", 14)


def test_when_memory_runs_out_the_batch_is_halved(make_analyzer: MakeAnalyzer) -> None:
    analyzer, sizes = make_analyzer(), []

    def work(size: int) -> None:
        sizes.append(size)
        if size > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    analyzer.run_pass(short_pass(analyzer), 14, work)
    assert sizes == [14, 7, 3]
    assert [message for message in warnings(analyzer.run) if "out of memory" in message]


def test_when_one_example_is_too_large_the_error_says_what_to_do(
    make_analyzer: MakeAnalyzer,
) -> None:
    def work(_size: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    analyzer = make_analyzer()
    with pytest.raises(ResourceError, match=r"of 1 tokens, fits alone\n.*module_partitions"):
        analyzer.run_pass(short_pass(analyzer), 1, work)


def test_what_another_version_began_is_told_apart(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    fit(make_analyzer(), "ekfac", examples)
    analyzer = make_analyzer(factors={"amp_dtype": "bfloat16"})
    (analyzer.run.factors("ekfac") / "lambda_matrix.safetensors").unlink()
    with pytest.raises(UsageError, match="begun by another version"):
        fit(analyzer, "ekfac", examples)


def warnings(run: RunDir) -> list[str]:
    return [e.message for e in EventReader(run.events).read() if isinstance(e, Warned)]


def test_progress_tells_of_every_phase_to_its_end(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    analyzer = make_analyzer()
    fit(analyzer, "ekfac", examples)
    events = [e for e in EventReader(analyzer.run.events).read() if isinstance(e, Progress)]
    last = {event.phase: (event.done, event.total, event.unit) for event in events}
    assert last == {
        "ekfac covariance": (14, 14, "examples"),
        "ekfac eigendecomposition": (12, 12, "matrices"),
        "ekfac lambda": (14, 14, "examples"),
    }


def test_modules_with_one_input_share_its_covariance_and_its_eigenvectors(
    make_analyzer: MakeAnalyzer, examples: TokenDataset
) -> None:
    found = factors(make_analyzer, examples, "ekfac")
    for name in ("activation_covariance", "activation_eigenvectors"):
        of = {module.rsplit(".", 1)[1]: found[name][module] for module in found[name]}
        assert torch.equal(of["q_proj"], of["k_proj"])
        assert torch.equal(of["q_proj"], of["v_proj"])
        assert torch.equal(of["gate_proj"], of["up_proj"])


def test_equal_matrices_are_decomposed_once() -> None:
    matrices = [torch.eye(3, dtype=torch.float64) * scale for scale in (1, 2, 1, 3, 1, 4)]
    counted: list[int] = []
    with _Calls() as calls, CountedEigendecompositions(counted.append):
        results = [torch.linalg.eigh(matrix) for matrix in matrices]
    assert (sum(counted), calls.eigh) == (6, 4)
    for matrix, (values, vectors) in zip(matrices, results, strict=True):
        assert_same_in_float64(vectors @ values.diag() @ vectors.t(), matrix)
    assert len({vectors.data_ptr() for _, vectors in results}) == 6  # each is saved on its own


class _FailingSolver(TorchFunctionMode):
    """A device whose solver fails in single precision, as cuSOLVER does at some matrices."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is not torch.linalg.eigh or args[0].dtype == torch.float64:
            return found
        if self._how == "raises":
            raise RuntimeError("cusolver error: CUSOLVER_STATUS_INVALID_VALUE")
        return found[0] * torch.nan, found[1]


@pytest.mark.parametrize("how", ["raises", "gives no numbers"])
def test_what_the_devices_solver_fails_at_the_cpu_decomposes_in_float64(
    make_analyzer: MakeAnalyzer, how: str
) -> None:
    examples = TokenDataset(random_tokens(4, seed=5))
    single: dict[str, object] = {"eigendecomposition_dtype": "float32", "fisher": "empirical"}
    analyzer = make_analyzer(factors=single)
    with _FailingSolver(how):
        fit(analyzer, "ekfac", examples)
    told = [e.message for e in EventReader(analyzer.run.events).read() if isinstance(e, Note)]
    assert any("the CPU decomposed them in float64" in message for message in told)
    found = load_file(analyzer.run.factors("ekfac") / "activation_eigenvalues.safetensors")
    assert all(bool(values.isfinite().all()) for values in found.values())


def test_what_no_solver_can_decompose_is_an_error_still() -> None:
    broken = torch.full((3, 3), torch.nan)
    with CountedEigendecompositions(lambda _: None), pytest.raises(torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        torch.linalg.eigh(broken)


class _Calls(TorchFunctionMode):
    """Counts the decompositions that reach torch."""

    eigh = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.eigh += func is torch.linalg.eigh
        return func(*args, **(kwargs or {}))


def test_low_precision_is_what_the_settings_ask_for(make_analyzer: MakeAnalyzer) -> None:
    examples = TokenDataset(random_tokens(4, seed=5))
    found = factors(make_analyzer, examples, "diagonal", lambda_dtype="bfloat16")
    assert {matrix.dtype for matrix in found["lambda_matrix"].values()} == {torch.bfloat16}
