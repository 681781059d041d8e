"""How far results that should be equal may lie apart because floating-point numbers are rounded."""

from __future__ import annotations

import torch
from torch import Tensor

FLOAT32, FLOAT64 = torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps


def summation_tolerance(terms: int, size: float, epsilon: float = FLOAT32) -> float:
    """How far two sums of the same terms may lie apart when they are added in different orders.

    A sum of n numbers is at most (n − 1)·u·Σ|terms| off the exact one, whatever the order, where
    u = ε/2 (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2; terms of
    order u² are left out); products that are added up bring one more u each. So two of them differ
    by at most n·ε·Σ|terms|. `size`: Σ|terms|, or a bound of it: of a dot product, the product of
    the two lengths (Cauchy and Schwarz).
    """
    return terms * epsilon * size


def assert_same_in_float64(found: Tensor, expected: Tensor, growth: float = 1e6) -> None:
    """Both were computed in float64, in whatever order, and rounded to their dtype at the end.

    `growth`: how many times larger than a single rounding the error may have become, relative to
    the largest result: the number of terms (some 1e3 in the tests' models) times how much larger
    the terms are than their sum, or the condition number of what is inverted (1e3 as well). In
    float64 that is 1e-10 of the largest result: far below any mistake that is looked for.
    """
    size = float(expected.detach().abs().max())
    torch.testing.assert_close(
        found.double(),
        expected.double(),
        rtol=max(torch.finfo(one.dtype).eps for one in (found, expected)),
        atol=summation_tolerance(1, growth * size, FLOAT64),
    )


def assert_parts_add_up(parts: Tensor, whole: Tensor) -> None:
    """The last dimension of `parts`, each rounded to float32, adds up to `whole`, so rounded."""
    sizes = parts.double().abs().sum(dim=-1)
    off = (parts.double().sum(dim=-1) - whole.double()).abs()
    assert (off <= summation_tolerance(1, 1.0) * sizes).all(), f"off by {(off / sizes).max():.1e}"
