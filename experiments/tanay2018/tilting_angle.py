"""The tilting boundary: two classes of digits, the angle between a linear classifier and the direction from
one centroid to the other, and the distances that go with it (Tanay and Griffin 2018, arXiv 1806.11186).

With s(x) = w.x + b, d(x) = s(x) / ||w|| and labels y of -1 and +1: d_adv is the mean of y d(x), d_err the sum
of -y d(x) over what is misclassified, divided by the number of all images. Pixels lie in [0, 1].
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from errors import BadSetting
from experiments.datasets.digit_sets import digits
from experiments.methods.svm import Array, Machine, Solution
from experiments.toolkit.packing import unpack
from settings import RESULTS

PUBLISHED = RESULTS / "tanay_published.json"
HIGHEST, LOWEST = 2.0, -6.0
"""log10 of the largest and the smallest lambda, for pixels in [0, 1] and the mean of the hinge loss."""
FACTOR_255 = 255.0**2
"""What lambda is multiplied by when pixels are written as 0 to 255, as in the article's text."""
PLOT_UNIT = 2.55
"""The article's histograms measure distances in hundreds of grey levels, 2.55 to the unit of pixels."""


@dataclass(frozen=True)
class Pair:
    """Training and test images ``(n, 784)`` of two digits, as many of one as of the other in training;
    labels ``(n,)`` are -1 for the first and +1 for the second.
    """

    x: Array
    y: Array
    test_x: Array
    test_y: Array

    @cached_property
    def centroids(self) -> tuple[Array, Array]:
        """The mean training images of the first and the second digit."""
        return self.x[self.y < 0].mean(0), self.x[self.y > 0].mean(0)

    @cached_property
    def axis(self) -> tuple[Array, float]:
        """The unit vector from the first centroid to the second, and their distance."""
        first, second = self.centroids
        size = float(np.linalg.norm(second - first))
        return (second - first) / size, size

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Which pixels are ever lit ``(784,)``: one that is always 0 has weight 0."""
        return np.asarray(self.x.any(0))

    @cached_property
    def machine(self) -> Machine:
        """The problem of the support vector machine, over the pixels that are ever lit."""
        return Machine(self.x[:, self.seen], self.y)

    @cached_property
    def typical(self) -> Array:
        """Of each digit the image that is nearest to its centroid ``(2, 784)``."""
        own = [(self.x[self.y == side], c) for side, c in zip((-1, 1), self.centroids, strict=True)]
        return np.stack([x[np.argmin(((x - c) ** 2).sum(1))] for x, c in own])


class Measures(NamedTuple):
    """``norm``: ||w||; ``angle`` in [0, pi] between w and the line of the centroids; ``shift``: d(x) of their
    middle; distances in the unit of pixels; errors are shares in [0, 1].
    """

    norm: float
    angle: float
    shift: float
    d_adv: float
    d_err: float
    train_error: float
    test_error: float


def log_lambdas(count: int) -> list[float]:
    """Return ``count`` values of log10 lambda, falling evenly from `HIGHEST` to `LOWEST`."""
    return [round(HIGHEST - (HIGHEST - LOWEST) * k / (count - 1), 6) for k in range(count)]


@lru_cache(maxsize=2)
def pair(first: int, second: int, n: int, folder: str = "") -> Pair:
    """Return the first ``n`` training images of each of two digits (fewer where there are not so many), and
    all their test images. Raises `errors.BadSetting` when the digits are the same.
    """
    if first == second:
        raise BadSetting(f"Expected two different digits, got {first} twice.")
    every = digits(folder)
    labels = every.train_y.numpy()
    each = [np.flatnonzero(labels == digit) for digit in (first, second)]
    count = min(n, *(len(found) for found in each))
    chosen = np.concatenate([found[:count] for found in each])
    x = every.train_x.flatten(1).numpy()[chosen].astype(np.float64)
    y = np.repeat([-1.0, 1.0], count)
    tested = np.isin(every.test_y.numpy(), (first, second))
    test_y = np.where(every.test_y.numpy()[tested] == second, 1.0, -1.0)
    return Pair(x, y, every.test_x.flatten(1).numpy()[tested].astype(np.float64), test_y)


def path(of: Pair, logs: Sequence[float], start: Solution | None = None) -> Iterator[Solution]:
    """Yield the support vector machine for each log10 lambda; see `experiments.methods.svm.Machine.path`."""
    begin = start._replace(weights=start.weights[of.seen]) if start else None
    for each in of.machine.path([10**log for log in logs], begin):
        whole = np.zeros(of.x.shape[1])
        whole[of.seen] = each.weights
        yield each._replace(weights=whole)


def measure(of: Pair, weights: Array, bias: float) -> Measures:
    """Return the angle, distances and errors of the classifier s(x) = weights.x + bias."""
    norm = float(np.linalg.norm(weights))
    toward, _ = of.axis
    across = float(weights @ toward / norm)
    # atan2 rather than arccos: exact near 0.
    angle = float(np.arctan2(np.linalg.norm(weights / norm - across * toward), across))
    margins = of.y * (of.x @ weights + bias) / norm
    tested = of.test_y * (of.test_x @ weights + bias)
    middle = sum(of.centroids) / 2
    return Measures(
        norm,
        angle,
        float((middle @ weights + bias) / norm),
        float(margins.mean()),
        float(np.maximum(-margins, 0).mean()),
        float((margins <= 0).mean()),
        float((tested <= 0).mean()),
    )


def upward(of: Pair, weights: Array) -> Array:
    """Return the unit vector n of the tilting plane: the part of ``weights`` across the line of centroids.

    Where there is none, its limit as lambda falls: the two farthest images are the first to leave the margin.
    """
    toward, _ = of.axis
    rest = weights - (weights @ toward) * toward
    if np.linalg.norm(rest) < 1e-9 * np.linalg.norm(weights):
        scores = of.y * (of.x @ weights)
        far = [np.argmax(np.where(of.y == side, scores, -np.inf)) for side in (-1, 1)]
        rest = of.x[far[0]] - of.x[far[1]]
        rest = rest - (rest @ toward) * toward
    unit: Array = rest / np.linalg.norm(rest)
    return unit


def mirror(x: Array, weights: Array, bias: float) -> Array:
    """Return x - 2 d(x) w / ||w||: the image ``(d,)`` as far on the other side of the boundary."""
    return x - 2 * float(x @ weights + bias) / float(weights @ weights) * weights


def published(first: int, second: int) -> dict[str, NDArray[np.float64]] | None:
    """Return the article's own figures for a pair, or None where the article has no such pair.

    Arrays ``(81,)`` over `log_lambdas`: ``angle`` (radians), ``shift``, ``inverse_norm``, ``d_adv``,
    ``train_error`` and ``test_error`` (shares in [0, 1]).
    """
    name = f"{min(first, second)}{max(first, second)}"
    kept = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    if name not in kept["pairs"]:
        return None
    row = kept["pairs"].index(name)
    return {key: unpack(values)[row] for key, values in kept["values"].items()}
