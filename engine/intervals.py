"""Estimates with 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # not its stats, which take a second: scipy loads them when they are first used

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure over ``n`` examples and its 95 % interval, None where there is none."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def least(self) -> float:
        """Return the lower end of the interval, minus infinity where there is none."""
        return -math.inf if self.low is None else self.low

    @property
    def most(self) -> float:
        """Return the upper end of the interval, infinity where there is none."""
        return math.inf if self.high is None else self.high


def share(count: int, n: int) -> Estimate:
    """Return the share ``count / n`` in [0, 1] with the Clopper-Pearson interval (exact, conservative)."""
    interval = scipy.stats.binomtest(count, n).proportion_ci(LEVEL, "exact")
    return Estimate(count / n, float(interval.low), float(interval.high), n)


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean with Student's interval; without one for fewer than two values."""
    n, middle = len(values), float(np.mean(values))
    if n < 2:
        return Estimate(middle, None, None, n)
    # Not stats.t.interval, which has no number to give where all values are the same.
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, n - 1)) * float(np.std(values, ddof=1)) / n**0.5
    return Estimate(middle, middle - half, middle + half, n)


def median(values: Sequence[float]) -> Estimate:
    """Return the median with the interval of order statistics (binomial, no assumption on the values)."""
    ordered, n = sorted(values), len(values)
    rank = int(scipy.stats.binom.ppf((1 - LEVEL) / 2, n, 0.5)) - 1
    low, high = (ordered[rank], ordered[n - 1 - rank]) if rank >= 0 else (None, None)
    return Estimate(float(np.median(ordered)), low, high, n)
