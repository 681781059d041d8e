"""Fits curvature factors, from where an interrupted attempt stopped; and lends fitted ones."""

from __future__ import annotations

import os
import shutil
from functools import partial

import torch
from kronfluence.factor.config import FactorConfig
from kronfluence.factor.covariance import covariance_matrices_exist
from kronfluence.factor.eigen import eigendecomposition_exist, lambda_matrices_exist
from kronfluence.utils.constants import COVARIANCE_FACTOR_NAMES, EIGENDECOMPOSITION_FACTOR_NAMES

from pipeline.contract.errors import MissingResultError, ModelError
from pipeline.contract.files import replacing
from pipeline.contract.run.run_dir import RunDir
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer, Pass
from pipeline.influence.arguments import covariance_bytes, curvature_bytes, factor_arguments
from pipeline.influence.batches import by_length
from pipeline.influence.progress import CountedEigendecompositions
from pipeline.influence.unfinished import remove_unfinished


def fit(analyzer: InfluenceAnalyzer, strategy: str, examples: TokenDataset) -> None:
    """Fits what the strategy needs; writes at least its arguments.

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


def needs_covariances(strategy: str) -> bool:
    """Whether the strategy is built on the covariances of activations and gradients."""
    return bool(FactorConfig.CONFIGS[strategy].requires_covariance_matrices)


def copy_covariances(run: RunDir, source: str, target: str) -> None:
    """Gives `target` the covariances and eigenvectors of `source`: they are the same."""
    remove_unfinished(run.factors(target))
    for name in (*COVARIANCE_FACTOR_NAMES, *EIGENDECOMPOSITION_FACTOR_NAMES):
        copied = run.factors(target) / f"{name}.safetensors"
        if not copied.exists():
            with replacing(copied) as temporary:
                shutil.copyfile(run.factors(source) / copied.name, temporary)


def require_factors(run: RunDir, strategy: str) -> None:
    """Factors are large: they may have been removed for their room.

    Raises:
        MissingResultError: there are none.
    """
    if not run.factors(strategy).exists():
        hint = f"`headwater run factors --force --run {run.name}` fits them again"
        raise MissingResultError(f"there are no factors in {run.factors(strategy)}", hint)


def lend_factors(run: RunDir, to: RunDir, strategy: str) -> None:
    """Links the strategy's factors where Kronfluence looks for them when it scores into `to`.

    Raises:
        MissingResultError: there are none.
    """
    require_factors(run, strategy)
    factors = to.factors(strategy)
    if not factors.exists():
        factors.parent.mkdir(parents=True, exist_ok=True)
        own = os.path.relpath(run.factors(strategy), factors.parent)
        factors.symlink_to(own, target_is_directory=True)


def fit_covariances(analyzer: InfluenceAnalyzer, strategy: str, examples: TokenDataset) -> None:
    """Sums the covariances of activations and of output gradients; raises what `fit` raises."""
    args = factor_arguments(analyzer.settings.factors, strategy)
    first = min(args.covariance_max_examples or len(examples), len(examples))
    analyzer.go_through(
        Pass(
            f"{strategy} covariance",
            analyzer.run.factors(strategy),
            covariance_matrices_exist,
            "factors.covariance_",
            first,
            max(examples.lengths),
            args.covariance_data_partitions,
            args.covariance_module_partitions,
            held=covariance_bytes(analyzer.shapes),
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
    """Finds the covariances' eigenvectors; raises what `fit` raises."""
    if eigendecomposition_exist(output_dir=analyzer.run.factors(strategy)):
        return
    args = factor_arguments(analyzer.settings.factors, strategy)
    matrices, phase = 2 * len(analyzer.modules), f"{strategy} eigendecomposition"
    try:
        with (
            analyzer.progress.phase(phase, matrices, unit="matrices"),
            CountedEigendecompositions(analyzer.progress.add),
        ):
            analyzer.kronfluence.perform_eigendecomposition(strategy, factor_args=args)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        hint = "float32 in [factors] avoids overflow; or the model itself has diverged"
        raise ModelError(f"a covariance cannot be decomposed: {error}", hint) from error


def fit_lambda(analyzer: InfluenceAnalyzer, strategy: str, examples: TokenDataset) -> None:
    """Sums the squared gradients, where the strategy has any; raises what `fit` raises."""
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
    analyzer.go_through(
        Pass(
            f"{strategy} lambda",
            analyzer.run.factors(strategy),
            lambda_matrices_exist,
            "factors.lambda_",
            first,
            max(examples.lengths),
            args.lambda_data_partitions,
            args.lambda_module_partitions,
            held=curvature_bytes(analyzer.shapes, strategy),
        ),
        analyzer.tokens_per_batch(analyzer.settings.factors.batch_size, examples),
        lambda tokens: work(per_device_batch_size=tokens),
    )


def _sorted(examples: TokenDataset, partitions: int, first: int) -> TokenDataset:
    """The same examples in each partition, longest first. More partitions than examples are
    refused before they matter."""
    return examples.subset(by_length(examples.lengths, min(partitions, first), first))
