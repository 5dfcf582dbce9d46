"""Shares with confidence intervals, and quartiles."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import binomtest

from atomate2_vogen.errors import InputError
from atomate2_vogen.schemas import Distribution, Proportion

CONFIDENCE = 0.95
INTERVAL = f"Wilson, {CONFIDENCE:.0%}"


def proportion(count: int, total: int) -> Proportion:
    """Share with its Wilson interval (Wilson, J. Am. Stat. Assoc. 22, 209, 1927).

    Raises
    ------
    InputError
        If the count is negative or above the total.

    Examples
    --------
    >>> from atomate2_vogen.stability import proportion
    >>> share = proportion(8, 10)
    >>> share.share, round(share.low, 2), round(share.high, 2)
    (0.8, 0.49, 0.94)
    """
    if not 0 <= count <= total:
        raise InputError(f"{count} of {total} is no share")
    if total == 0:
        return Proportion(count=0, total=0, share=None, low=None, high=None)
    interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return Proportion(
        count=count,
        total=total,
        share=count / total,
        low=float(interval.low),
        high=float(interval.high),
    )


def distribution(values: Iterable[float | None]) -> Distribution:
    """Median and quartiles of the finite numbers among the values.

    Examples
    --------
    >>> from atomate2_vogen.stability import distribution
    >>> distribution([1.0, 2.0, 3.0, None]).median
    2.0
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return Distribution(n=0, quartile_1=None, median=None, quartile_3=None)
    first, middle, third = np.percentile(finite, [25, 50, 75]).tolist()
    return Distribution(n=len(finite), quartile_1=first, median=middle, quartile_3=third)
