"""Fits curvature factors, resuming an interrupted fit, and shares fitted ones between runs.

Sources: K-FAC, Martens and Grosse 2015; EK-FAC, George et al. 2018; for language models, Grosse
et al. 2023.
"""

from __future__ import annotations

import os
import shutil
from functools import partial

import torch
from kronfluence.factor.config import FactorConfig
from kronfluence.factor.covariance import covariance_matrices_exist
from kronfluence.factor.eigen import eigendecomposition_exist, lambda_matrices_exist
from kronfluence.utils.constants import (
    COVARIANCE_FACTOR_NAMES,
    EIGENDECOMPOSITION_FACTOR_NAMES,
    LAMBDA_MATRIX_NAME,
    NUM_ACTIVATION_COVARIANCE_PROCESSED,
    NUM_GRADIENT_COVARIANCE_PROCESSED,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.contract.errors import MissingResultError, ModelError
from pipeline.contract.files import replacing
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import FactorSettings
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.arguments import covariance_bytes, curvature_bytes, factor_arguments
from pipeline.influence.budgeted_analyzer import by_length
from pipeline.influence.eigendecompositions import CountedEigendecompositions
from pipeline.influence.passes import Pass
from pipeline.influence.unfinished import remove_unfinished

_SPOILT = "float32 in [factors] avoids overflow; or the model itself has diverged"
_DECOMPOSITION = 0.3
"""Work of an eigendecomposition ÷ that of a pass: right for small models, too little for large."""
_COUNTS = (NUM_ACTIVATION_COVARIANCE_PROCESSED, NUM_GRADIENT_COVARIANCE_PROCESSED)


def fit(analyzer: InfluenceAnalyzer, strategy: str, examples: TokenDataset) -> None:
    """Fits the factors that the strategy needs; resumes from the partitions already saved.

    Raises:
        SettingsError: more partitions than examples or modules.
        ModelError: activations or gradients are not finite.
        ResourceError: not even one example fits into memory.
    """
    remove_unfinished(analyzer.run.factors(strategy))
    if needs_covariances(strategy):
        fit_covariances(analyzer, strategy, examples)
        decompose(analyzer, strategy)
    fit_lambda(analyzer, strategy, examples)
    _require_finite(analyzer.run, strategy)


def phases(
    settings: FactorSettings, strategy: str, examples: int, has_covariances: bool
) -> dict[str, float]:
    """The phases of `fit` that have anything to do, and about how many examples' passes each is.

    `has_covariances`: those of another strategy will be copied.
    """
    found: dict[str, float] = {}
    if needs_covariances(strategy) and not has_covariances:
        first = min(settings.covariance_max_examples or examples, examples)
        found[f"{strategy} covariance"] = first
        found[f"{strategy} eigendecomposition"] = first * _DECOMPOSITION
    if FactorConfig.CONFIGS[strategy].requires_lambda_matrices:
        found[f"{strategy} lambda"] = min(settings.lambda_max_examples or examples, examples)
    return found


def needs_covariances(strategy: str) -> bool:
    """Whether the strategy uses the covariances of activations and output gradients."""
    return bool(FactorConfig.CONFIGS[strategy].requires_covariance_matrices)


def copy_covariances(run: RunDir, source: str, target: str) -> None:
    """Copies covariances and eigenvectors to strategy `target`, for which they are the same."""
    remove_unfinished(run.factors(target))
    for name in (*COVARIANCE_FACTOR_NAMES, *EIGENDECOMPOSITION_FACTOR_NAMES):
        copied = run.factors(target) / f"{name}.safetensors"
        if not copied.exists():
            # under a temporary name first: Kronfluence takes any existing file for finished
            with replacing(copied) as temporary:
                shutil.copyfile(run.factors(source) / copied.name, temporary)


def require_factors(run: RunDir, strategy: str) -> None:
    """Checks that the strategy's factors exist.

    Raises:
        MissingResultError: they do not.
    """
    # factors are large: a person may have deleted them to free the disk
    if not run.factors(strategy).exists():
        hint = f"`headwater run factors --force --run {run.name}` fits them again"
        raise MissingResultError(f"there are no factors in {run.factors(strategy)}", hint)


def link_factors(run: RunDir, to: RunDir, strategy: str) -> None:
    """Links the strategy's factors into `to`, where Kronfluence looks for them when scoring there.

    Raises:
        MissingResultError: the run has no factors of this strategy.
    """
    require_factors(run, strategy)
    factors = to.factors(strategy)
    if not factors.exists():
        factors.parent.mkdir(parents=True, exist_ok=True)
        # relative, so that the link stays valid when the folder of the runs is moved
        own = os.path.relpath(run.factors(strategy), factors.parent)
        factors.symlink_to(own, target_is_directory=True)


def fit_covariances(analyzer: InfluenceAnalyzer, strategy: str, examples: TokenDataset) -> None:
    """Sums the covariances of activations and of output gradients; raises as `fit` does."""
    args = factor_arguments(analyzer.settings.factors, strategy)
    first = min(args.covariance_max_examples or len(examples), len(examples))
    analyzer.run_pass(
        Pass(
            f"{strategy} covariance",
            analyzer.run.factors(strategy),
            covariance_matrices_exist,
            "factors.covariance_",
            first,
            max(examples.lengths),
            args.covariance_data_partitions,
            args.covariance_module_partitions,
            matrix_bytes=covariance_bytes(analyzer.shapes),
            arguments=args.to_str_dict(),
        ),
        analyzer.tokens_per_batch(analyzer.settings.factors.batch_size, examples),
        lambda tokens: analyzer.kronfluence.fit_covariance_matrices(
            strategy,
            _sorted(examples, args.covariance_data_partitions, first),
            per_device_batch_size=tokens,
            factor_args=args,
        ),
    )


def decompose(analyzer: InfluenceAnalyzer, strategy: str) -> None:
    """Computes the eigenvalues and eigenvectors of the covariances; raises as `fit` does."""
    # this step has no partitions: it is done, or starts over
    if eigendecomposition_exist(output_dir=analyzer.run.factors(strategy)):
        return
    _count_unseen_once(analyzer.run, strategy)
    args = factor_arguments(analyzer.settings.factors, strategy)
    matrices, phase = 2 * len(analyzer.modules), f"{strategy} eigendecomposition"
    try:
        with (
            analyzer.progress.phase(phase, matrices, unit="matrices"),
            CountedEigendecompositions(analyzer.progress.add) as solved,
        ):
            analyzer.kronfluence.perform_eigendecomposition(strategy, factor_args=args)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise ModelError(f"a covariance cannot be decomposed: {error}", _SPOILT) from error
    if solved.failures:
        analyzer.note(
            f"{phase}: the device's solver failed at {solved.failures} of {matrices} matrices; the "
            "CPU decomposed them in float64"
        )


def _require_finite(run: RunDir, strategy: str) -> None:
    """Raises ModelError where Λ holds what is no number: every score would be none, either."""
    path = run.factors(strategy) / f"{LAMBDA_MATRIX_NAME}.safetensors"
    if not path.exists():
        return
    with safe_open(path, framework="pt") as file:
        spoilt = [name for name in file.keys() if not file.get_tensor(name).isfinite().all()]  # noqa: SIM118
    if spoilt:
        raise ModelError(f"the squared gradients of {spoilt[0]} are not finite", _SPOILT)


def _count_unseen_once(run: RunDir, strategy: str) -> None:
    """Makes the covariances of modules that no token has reached 0 ÷ 1 instead of 0 ÷ 0.

    An expert of a mixture may be one: tokens choose theirs.
    """
    for name in _COUNTS:
        path = run.factors(strategy) / f"{name}.safetensors"
        counts = load_file(path)
        if any(int(count) == 0 for count in counts.values()):
            with replacing(path) as temporary:
                save_file({module: n.clamp_min(1) for module, n in counts.items()}, temporary)


def fit_lambda(analyzer: InfluenceAnalyzer, strategy: str, examples: TokenDataset) -> None:
    """Sums the squared per-example gradients Λ, if the strategy uses them; raises as `fit` does."""
    args = factor_arguments(analyzer.settings.factors, strategy)
    first = min(args.lambda_max_examples or len(examples), len(examples))
    work = partial(
        analyzer.kronfluence.fit_lambda_matrices,
        strategy,
        _sorted(examples, args.lambda_data_partitions, first),
        factor_args=args,
    )
    if not FactorConfig.CONFIGS[strategy].requires_lambda_matrices:
        work()  # writes the arguments, which scoring reads
        return
    analyzer.run_pass(
        Pass(
            f"{strategy} lambda",
            analyzer.run.factors(strategy),
            lambda_matrices_exist,
            "factors.lambda_",
            first,
            max(examples.lengths),
            args.lambda_data_partitions,
            args.lambda_module_partitions,
            matrix_bytes=curvature_bytes(analyzer.shapes, strategy),
            arguments=args.to_str_dict(),
        ),
        analyzer.tokens_per_batch(analyzer.settings.factors.batch_size, examples),
        lambda tokens: work(per_device_batch_size=tokens),
    )


def _sorted(examples: TokenDataset, partitions: int, first: int) -> TokenDataset:
    """The examples, longest first within each data partition; only the `first` are used."""
    # more partitions than examples are refused later, with a message, by `run_pass`
    return examples.subset(by_length(examples.lengths, min(partitions, first), first))
