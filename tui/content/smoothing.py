"""Curves without their noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui.readers.curve import Bucket

SMOOTHINGS = (0.0, 0.02, 0.05, 0.15)
"""Shares of a chart's width that a curve can be smoothed over; 0 = not at all."""


def smoothed(buckets: Sequence[Bucket | None], reach: float) -> list[Bucket | None]:
    """An exponential moving average of the buckets' means, each column's weight being 1/e of the
    one `reach` columns later; divided by the weights so far, so that it does not begin at 0."""
    keep = math.exp(-1 / reach)
    total = weight = 0.0
    found = list[Bucket | None]()
    for bucket in buckets:
        total, weight = total * keep, weight * keep
        if bucket is None:
            found.append(None)
            continue
        total, weight = total + bucket.mean, weight + 1
        found.append(Bucket(*[total / weight] * 5))
    return found
