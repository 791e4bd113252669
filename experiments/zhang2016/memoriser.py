"""The network of 2n + d weights that gives any n pictures of d values any n answers.

Zhang et al., Understanding Deep Learning Requires Rethinking Generalization, theorem 1 and its proof.
https://arxiv.org/abs/1611.03530.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from errors import BadSetting

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Memoriser:
    """x to the sum over j of ``weights[j] * max(<direction, x> - offsets[j], 0)``: two layers, all units of
    the hidden one looking in one direction. ``direction`` ``(d,)``, ``offsets`` and ``weights`` ``(n,)``.
    """

    direction: Array
    offsets: Array
    weights: Array

    def __call__(self, x: Array) -> Array:
        """Return the answers ``(m,)`` for pictures ``(m, d)``."""
        answers: Array = hidden(x @ self.direction, self.offsets) @ self.weights
        return answers

    @property
    def parameters(self) -> int:
        """Return how many numbers the network has: 2n + d."""
        return self.direction.size + self.offsets.size + self.weights.size


def hidden(z: Array, offsets: Array) -> Array:
    """Return the hidden layer ``(m, n)`` at places ``z`` ``(m,)`` along the direction."""
    layer: Array = np.maximum(z[:, None] - offsets, 0)
    return layer


def memorise(x: Array, y: Array, rng: np.random.Generator) -> Memoriser:
    """Return the network whose answer to row i of ``x`` ``(n, d)`` is ``y[i]``, for any ``y`` ``(n,)``.

    Along a random direction each offset lies halfway between two pictures, the first one as far before the
    first picture as the pictures are apart on average. So the hidden layer of the sorted pictures is lower
    triangular with a diagonal above 0, and the weights follow by forward substitution.
    Raises `errors.BadSetting` when two pictures are the same, for then there may be no such network.
    """
    direction: Array = rng.standard_normal((x.shape[1],))
    z = x @ direction
    order = np.argsort(z)
    gaps = np.diff(z[order])
    if not (gaps > 0).all():
        raise BadSetting("Expected pictures that differ from one another, got two that are the same.")
    first = gaps.mean() if len(gaps) else 1.0
    offsets = z[order] - np.concatenate([[first], gaps]) / 2
    weights = solve_triangular(hidden(z[order], offsets), y[order], lower=True)
    return Memoriser(direction, offsets, weights)
