"""Of all solutions the one of least norm: where gradient descent ends, and what a kernel makes of it.

Zhang et al., section 5. https://arxiv.org/abs/1611.03530.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from experiments.zhang2016.memoriser import Array

Labels = NDArray[np.int64]


def descend(x: Array, y: Array, start: Array, steps: int = 50_000, within: float = 1e-10) -> Array:
    """Return where gradient descent with momentum on ``|x w - y|^2 / 2`` ends, from ``start`` ``(d,)``.

    ``x``: ``(n, d)`` of rank n < d, so that there are many solutions. Step and momentum are the best for
    the singular values of ``x`` (Polyak 1964). It ends when every row is ``within`` so much of its answer,
    and after ``steps`` at the latest.
    """
    values = np.linalg.svd(x, compute_uv=False)
    high, low = values[0], values[-1]
    rate, momentum = (2 / (high + low)) ** 2, ((high - low) / (high + low)) ** 2
    w, before = start, start
    for _ in range(steps):
        off = x @ w - y
        if np.abs(off).max() < within:
            break
        w, before = w - rate * (x.T @ off) + momentum * (w - before), w
    return w


def span(x: Array, w: Array) -> Array:
    """Return the part of ``w`` ``(d,)`` that the rows of ``x`` ``(n, d)`` span: what descent can change."""
    part: Array = np.linalg.pinv(x) @ (x @ w)
    return part


def kernel_errors(train_x: Array, train_y: Labels, test_x: Array, test_y: Labels) -> int:
    """Return how many test pictures the least-norm function of a Gaussian kernel gets wrong that is exactly
    right on the training pictures ``(n, d)``, one-hot, with no preprocessing and no regulariser.

    The kernel's width is half the median distance of two training pictures.
    """
    apart = cdist(train_x, train_x, "sqeuclidean")
    width = np.median(apart[np.triu_indices(len(apart), 1)]) / 4
    weights = np.linalg.solve(np.exp(-apart / (2 * width)), np.eye(10)[train_y])
    answers = np.exp(-cdist(test_x, train_x, "sqeuclidean") / (2 * width)) @ weights
    return int((answers.argmax(1) != test_y).sum())
