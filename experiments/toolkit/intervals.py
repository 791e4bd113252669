"""95 % intervals, as the dictionaries in which figures are kept: value, low, high, n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

Estimate = dict[str, Any]


def share(count: int, n: int) -> Estimate:
    """Return the share ``count / n`` in [0, 1] with the Clopper-Pearson interval (exact, conservative)."""
    low = float(stats.beta.ppf(0.025, count, n - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(0.975, count + 1, n - count)) if count < n else 1.0
    return {"value": count / n, "low": low, "high": high, "n": n}


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean with Student's interval; without one for fewer than two values."""
    n, middle = len(values), float(np.mean(values))
    if n < 2:
        return {"value": middle, "low": None, "high": None, "n": n}
    half = float(stats.t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return {"value": middle, "low": middle - half, "high": middle + half, "n": n}


def median(values: Sequence[float]) -> Estimate:
    """Return the median with the interval of order statistics (binomial, no assumption on the values)."""
    ordered, n = sorted(values), len(values)
    rank = int(stats.binom.ppf(0.025, n, 0.5)) - 1
    low, high = (ordered[rank], ordered[n - 1 - rank]) if rank >= 0 else (None, None)
    return {"value": float(np.median(ordered)), "low": low, "high": high, "n": n}
