"""How far scores can be trusted: reliability by bins, the calibration error, and temperatures.

After Guo et al. 2017 (https://arxiv.org/abs/1706.04599). Scores are the softmax of logits divided by a
temperature, in float64, since those of a network that is very sure are 1 in float32.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

BINS = 15


class Bins(NamedTuple):
    """Of each bin of top scores, ``((b) / bins, (b + 1) / bins]``: how many pictures fall into it, their mean
    top score, and the share that is read rightly; the last two are 0 where there are none."""

    counts: list[int]
    scores: list[float]
    right: list[float]


def top_scores(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return ``(n,)`` in float64: the largest probability of each row of ``logits`` ``(n, classes)``."""
    return (logits.double() / temperature).softmax(1).amax(1)


def bins(logits: Tensor, labels: Tensor, temperature: float = 1.0, count: int = BINS) -> Bins:
    """Return the reliability diagram of ``logits`` ``(n, classes)`` for ``labels`` ``(n,)``."""
    return tally(top_scores(logits, temperature), logits.argmax(1) == labels, count)


def tally(scores: Tensor, right: Tensor, count: int = BINS) -> Bins:
    """Return the reliability diagram of top scores ``(n,)`` in [0, 1], each ``right`` or not."""
    where = ((scores * count).ceil().long() - 1).clamp(0, count - 1)
    counts = torch.bincount(where, minlength=count)
    sums = [torch.bincount(where, weights=each.double(), minlength=count) for each in (scores, right)]
    means = [(each / counts.clamp(min=1)).tolist() for each in sums]
    return Bins(counts.tolist(), *means)


def expected_error(found: Bins) -> float:
    """Return the expected calibration error in [0, 1]: the mean distance of score and share right."""
    gaps = zip(found.counts, found.scores, found.right, strict=True)
    return sum(n * abs(score - right) for n, score, right in gaps) / sum(found.counts)


def median_temperature(logits: Tensor, score: float = 0.95) -> float:
    """Return the temperature at which the median top score is ``score``, to 1e-9 of itself.

    Every top score falls as the temperature rises, so bisection finds it. Raises ValueError for a score
    that no temperature gives: one of a median that is not between 1 / classes and 1.
    """
    if not 1 / logits.shape[1] < score < 1:
        raise ValueError(f"Expected a score between {1 / logits.shape[1]:g} and 1, got {score}.")
    low, high = math.log(1e-6), math.log(1e6)
    while high - low > 1e-9:
        middle = (low + high) / 2
        sure = float(top_scores(logits, math.exp(middle)).quantile(0.5)) > score
        low, high = (middle, high) if sure else (low, middle)
    return math.exp((low + high) / 2)


def surprise(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of ``labels`` ``(n,)``, in nats."""
    return float(functional.cross_entropy(logits.double() / temperature, labels))


def likeliest_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature in [0.001, 1000] of the least `surprise`, to 1e-6 of itself.

    In one over the temperature the surprise is convex, so that its only minimum is found by thirds.
    """
    low, high = math.log(1e-3), math.log(1e3)
    while high - low > 1e-6:
        third = (high - low) / 3
        left, right = low + third, high - third
        lower = surprise(logits, labels, math.exp(left)) < surprise(logits, labels, math.exp(right))
        low, high = (low, right) if lower else (left, high)
    return math.exp((low + high) / 2)
