"""How far scores can be trusted: reliability by bins, the calibration error, and temperatures.

After Guo et al. 2017 (https://arxiv.org/abs/1706.04599). Scores are the softmax of logits divided by a
temperature, in float64, since those of a network that is very sure are 1 in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import optimize
from torch import Tensor
from torch.nn import functional

BINS = 15


@dataclass(frozen=True)
class Bins:
    """Of each bin of top scores, ``(b / bins, (b + 1) / bins]``: how many pictures fall into it, their mean
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
    """Return the reliability diagram of top scores ``(n,)`` in [0, 1], ``right`` ``(n,)`` or not."""
    where = ((scores * count).ceil().long() - 1).clamp(0, count - 1)
    counts = torch.bincount(where, minlength=count)
    sums = [torch.bincount(where, weights=values.double(), minlength=count) for values in (scores, right)]
    means = [(total / counts.clamp(min=1)).tolist() for total in sums]
    return Bins(counts.tolist(), *means)


def ece(diagram: Bins) -> float:
    """Return the expected calibration error in [0, 1]: the mean distance of score and share right."""
    gaps = zip(diagram.counts, diagram.scores, diagram.right, strict=True)
    return sum(n * abs(score - right) for n, score, right in gaps) / sum(diagram.counts)


def median_temperature(logits: Tensor, score: float = 0.95) -> float:
    """Return the temperature in [1e-6, 1e6] at which the median top score is ``score``, to 1e-9 of itself.

    Raises ValueError for a score that no temperature gives: one of a median that is not between 1 / classes
    and 1, say.
    """
    if not 1 / logits.shape[1] < score < 1:
        raise ValueError(f"Expected a score between {1 / logits.shape[1]:g} and 1, got {score}.")

    def excess(log: float) -> float:
        return float(top_scores(logits, math.exp(log)).quantile(0.5)) - score

    return math.exp(optimize.brentq(excess, math.log(1e-6), math.log(1e6), xtol=1e-9))


def nll(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of ``labels`` ``(n,)``, in nats."""
    return float(functional.cross_entropy(logits.double() / temperature, labels))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature in [0.001, 1000] of the least `nll`, to 1e-6 of itself.

    In one over the temperature it is convex, so that it has a single minimum.
    """
    least = optimize.minimize_scalar(
        lambda log: nll(logits, labels, math.exp(log)),
        bounds=(math.log(1e-3), math.log(1e3)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return math.exp(least.x)
