"""The tilting boundary: two classes of digits, the angle between a linear classifier and the direction from
one centroid to the other, and the distances that go with it (Tanay and Griffin 2018, arXiv 1806.11186).

With s(x) = w.x + b, d(x) = s(x) / ||w|| and labels y of -1 and +1: d_adv is the mean of y d(x), d_err the sum
of -y d(x) over what is misclassified, divided by the number of all images. Pixels lie in [0, 1].
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from errors import BadSetting
from experiments.datasets.digit_sets import digits
from experiments.methods.svm import Array, Machine, Solution
from experiments.toolkit import codec
from experiments.toolkit.packing import Packed, pack, unpack
from settings import RESULTS

PUBLISHED = RESULTS / "tanay_published.json"
HIGHEST, LOWEST = 2.0, -6.0
"""log10 of the largest and the smallest lambda, for pixels in [0, 1] and the mean of the hinge loss."""
FACTOR_255 = 255.0**2
"""What lambda is multiplied by when pixels are written as 0 to 255, as in the article's text."""
PLOT_UNIT = 2.55
"""The article's histograms measure distances in hundreds of grey levels, 2.55 to the unit of pixels."""
BINS, RANGE = 80, 20.0
"""How many bins the histograms have, and up to what distance of either sign, in hundreds of grey levels."""


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
    def lit(self) -> NDArray[np.bool_]:
        """Which pixels are ever lit ``(784,)``: one that is always 0 has weight 0."""
        return np.asarray(self.x.any(0))

    @cached_property
    def machine(self) -> Machine:
        """The problem of the support vector machine, over the pixels that are ever lit."""
        return Machine(self.x[:, self.lit], self.y)

    @cached_property
    def typical(self) -> Array:
        """Of each digit the image that is nearest to its centroid ``(2, 784)``."""
        own = [(self.x[self.y == side], c) for side, c in zip((-1, 1), self.centroids, strict=True)]
        return np.stack([x[np.argmin(((x - c) ** 2).sum(1))] for x, c in own])


@dataclass(frozen=True)
class Measures:
    """Of a linear classifier ``norm``: ||w||; ``angle`` in [0, pi] between w and the line of the centroids;
    ``shift``: d(x) of their middle; distances in the unit of pixels; errors are shares in [0, 1].
    """

    norm: float
    angle: float
    shift: float
    d_adv: float
    d_err: float
    train_error: float
    test_error: float


@dataclass(frozen=True)
class Histogram(Packed):
    """Counts of images by y d(x): the last two axes are the class and the bin. ``bins`` of equal width from
    -``range`` to ``range``, in ``unit`` to one of pixels; the ends take what lies beyond."""

    bins: int
    range: float
    unit: float


@dataclass(frozen=True, eq=False)
class PublishedPath:
    """The article's own figures for a pair, arrays ``(81,)`` over `log_lambdas`; ``angle`` in radians, errors
    as shares in [0, 1]."""

    angle: Array
    shift: Array
    inverse_norm: Array
    d_adv: Array
    train_error: Array
    test_error: Array


@dataclass(frozen=True)
class _PublishedValues:
    """The arrays of `PublishedPath`, ``(pairs, 81)``."""

    angle: Packed
    shift: Packed
    inverse_norm: Packed
    d_adv: Packed
    train_error: Packed
    test_error: Packed


@dataclass(frozen=True)
class _PublishedPairs:
    """The file of the article's own figures; ``pairs``: "01" to "89"."""

    pairs: list[str]
    values: _PublishedValues


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
    source = digits(folder)
    labels = source.train_y.numpy()
    own = [np.flatnonzero(labels == digit) for digit in (first, second)]
    count = min(n, *(len(indices) for indices in own))
    chosen = np.concatenate([indices[:count] for indices in own])
    x = source.train_x.flatten(1).numpy()[chosen].astype(np.float64)
    y = np.repeat([-1.0, 1.0], count)
    tested = np.isin(source.test_y.numpy(), (first, second))
    test_y = np.where(source.test_y.numpy()[tested] == second, 1.0, -1.0)
    return Pair(x, y, source.test_x.flatten(1).numpy()[tested].astype(np.float64), test_y)


def path(of: Pair, logs: Sequence[float], start: Solution | None = None) -> Iterator[Solution]:
    """Yield the support vector machine for each log10 lambda; see `experiments.methods.svm.Machine.path`."""
    begin = replace(start, weights=start.weights[of.lit]) if start else None
    for solution in of.machine.path([10**log for log in logs], begin):
        whole = np.zeros(of.x.shape[1])
        whole[of.lit] = solution.weights
        yield replace(solution, weights=whole)


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


def count_distances(y: Array, distances: Array) -> NDArray[np.int_]:
    """Return how many of the ``distances`` ``(n,)``, which are y d(x) in the unit of pixels, lie in each bin
    of a `Histogram`, ``(2, BINS)``: those with labels ``y`` of -1, then those with +1."""
    edges = np.linspace(-RANGE, RANGE, BINS + 1)
    inside = np.clip(distances * PLOT_UNIT, -RANGE, RANGE - 1e-9)
    return np.stack([np.histogram(inside[y == side], edges)[0] for side in (-1, 1)])


def histogram(counts: ArrayLike) -> Histogram:
    """Return counts ``(..., 2, BINS)`` as a histogram."""
    return Histogram(**vars(pack(counts)), bins=BINS, range=RANGE, unit=PLOT_UNIT)


def published(first: int, second: int) -> PublishedPath | None:
    """Return the article's own figures for a pair, or None where the article has no such pair."""
    name = f"{min(first, second)}{max(first, second)}"
    article = codec.load(json.loads(PUBLISHED.read_text(encoding="utf-8")), _PublishedPairs)
    if name not in article.pairs:
        return None
    row = article.pairs.index(name)
    return PublishedPath(**{key: unpack(packed)[row] for key, packed in vars(article.values).items()})
