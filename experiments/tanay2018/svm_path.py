"""Tanay and Griffin 2018, figures svm_mnist1 to 3: a support vector machine tilts as lambda falls.

Linear machines for two digits, with the mean hinge loss + lambda ||w||^2, for lambda from 10^2 down to 10^-6
(pixels in [0, 1]); each is the optimum to a stated duality gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from attacks.settings import setting
from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.datasets.digit_sets import MNIST, source
from experiments.methods.svm import Array, Solution, single_threaded
from experiments.tanay2018 import tilting_angle
from experiments.tanay2018.tilting_angle import Histogram, Measures, PublishedPath
from experiments.toolkit.bases import OfTwoDigits
from experiments.toolkit.packing import Packed, pack, unpack

CHUNK = 9
POINTS = 150
ANGLE_BAND, ERROR_BAND = 2.0, 0.005
"""How near to the article's is near enough: degrees, and a share of the test images."""
SCALARS = tuple(field.name for field in fields(Measures))


@dataclass(frozen=True)
class Exact:
    """By how much, relative to its size, each identity is missed at worst.

    ``d_adv``: half the distance of the centroids times the cosine of the angle; ``nearest_centroid``: w is
    (j - i) / (4 lambda) while every image is inside the margin; ``mirror``: a mirror image is twice as far as
    the boundary; ``mirror_score``: it has the opposite score.
    """

    d_adv: float
    nearest_centroid: float
    mirror: float
    mirror_score: float


@dataclass(frozen=True)
class PathPart:
    """Of some values of lambda in turn: `Measures`, the duality ``gap``, and what is drawn.

    ``histogram`` ``(lambdas, 2, BINS)``: counts of y d(x) by class; ``up`` ``(lambdas, points)`` and
    ``picture_up`` ``(lambdas, 2)``: coordinates in the tilting plane, across the line of the centroids, of
    its points and of the two typical images, whose d(x) is ``distance``; ``weights`` ``(lambdas, 784)``:
    w / ||w|| from -127 to 127, which is its largest absolute weight, ``peak``; ``exact``: at worst.
    """

    norm: list[float]
    angle: list[float]
    shift: list[float]
    d_adv: list[float]
    d_err: list[float]
    train_error: list[float]
    test_error: list[float]
    gap: list[float]
    histogram: Packed
    up: Packed
    peak: list[float]
    weights: Packed
    distance: list[list[float]]
    picture_up: list[list[float]]
    exact: Exact


@dataclass(frozen=True)
class Plane:
    """Training images in the plane in which the boundary tilts, as many of the first digit as of the second:
    ``across`` ``(points,)`` along the line of the centroids from their middle, ``up`` ``(lambdas, points)``
    at a right angle to it, in the unit of pixels."""

    across: Packed
    up: Packed


@dataclass(frozen=True)
class WeightImages:
    """w / ||w|| of each lambda ``(lambdas, 784)`` from -127 to 127, which is its largest absolute weight,
    ``peak``."""

    images: Packed
    peak: list[float]


@dataclass(frozen=True)
class TypicalImages:
    """The image of either digit that is nearest to its centroid: ``images`` ``(2, 784)`` in grey levels of
    255, ``across`` ``(2,)`` and ``up`` ``(lambdas, 2)`` as in `Plane`, and d(x), ``distance``
    ``(lambdas, 2)``."""

    images: Packed
    across: list[float]
    distance: Packed
    up: Packed


@dataclass(frozen=True)
class Differences:
    """The largest absolute differences from the article's figures over the path: degrees, the unit of pixels,
    and shares of images."""

    angle_degrees: float
    d_adv: float
    train_error: float
    test_error: float


@dataclass(frozen=True)
class SVMPathFigures:
    """The path over lambda: lists by lambda, in falling order.

    ``log_lambda``: log10; ``factor_255``: what lambda is multiplied by for pixels from 0 to 255; ``classes``:
    the two digits; ``n_per_class``, ``n_test``: counts of images; ``norm`` to ``test_error``: see `Measures`;
    ``gap``: relative duality gap; ``best``: index of the lambda of least test error; ``histogram``
    ``(lambdas, 2, BINS)``: y d(x) of the training images; ``centroids`` ``(2, 784)`` in grey levels of 255;
    ``published``: None where the article has no figures of the same data.
    """

    log_lambda: list[float]
    factor_255: float
    classes: tuple[int, int]
    n_per_class: int
    n_test: int
    centroid_distance: float
    norm: list[float]
    angle: list[float]
    shift: list[float]
    d_adv: list[float]
    d_err: list[float]
    train_error: list[float]
    test_error: list[float]
    gap: list[float]
    best: int
    exact: Exact
    histogram: Histogram
    plane: Plane
    weights: WeightImages
    centroids: Packed
    pictures: TypicalImages
    published: Differences | None


@dataclass(frozen=True)
class PathStage(Stage):
    """Some values of lambda in turn; ``log_lambdas``: their log10, falling."""

    answer: ClassVar[type] = PathPart

    log_lambdas: tuple[float, ...]

    @property
    def name(self) -> str:
        """Return where the stage begins."""
        return f"lambda from 10^{self.log_lambdas[0]:g}"


@dataclass(frozen=True)
class SVMPath(OfTwoDigits[PathPart, SVMPathFigures]):
    """Support vector machines for two digits, from strong to weak regularisation."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "svm_path",
        "The tilting boundary",
        "How does weight decay tilt a linear boundary, and what does it cost in robustness?",
        "Tanay & Griffin 2018, A New Angle on L2 Regularization",
        "https://arxiv.org/abs/1806.11186",
        "Section 3, the three figures on SVM and MNIST",
        "MNIST, for the article's own figures",
    )

    result: ClassVar[type] = SVMPathFigures

    lambdas: int = setting(
        81, "Values of lambda", "How many, evenly from 10^2 down to 10^-6 on a log scale.", low=5, high=161
    )

    def stages(self) -> list[PathStage]:
        """Return one stage for every nine values of lambda."""
        logs = tilting_angle.log_lambdas(self.lambdas)
        return [PathStage(tuple(logs[k : k + CHUNK])) for k in range(0, self.lambdas, CHUNK)]

    def carry_out(self, stage: PathStage, store: Store) -> PathPart:
        """Follow the path through the stage's values of lambda, from where the last stage ended."""
        stages = self.stages()
        index = stages.index(stage)
        start = _restored(store, stages[index - 1].name) if index else None
        with single_threaded():
            solutions = list(tilting_angle.path(self._pair(), stage.log_lambdas, start))
            part = _described(self._pair(), stage.log_lambdas, solutions)
        last = solutions[-1]
        arrays = {"weights": last.weights, "multipliers": last.multipliers, "bias": np.array([last.bias])}
        store.put_tensors(stage.name, {key: torch.from_numpy(value) for key, value in arrays.items()})
        return part

    def summarise(self, answers: Sequence[PathPart]) -> SVMPathFigures:
        """Return, for each lambda, the scalars, the histogram of y d(x), the tilting plane, the weights."""
        pair = self._pair()
        scalars = {
            key: [float(f"{value:.6g}") for part in answers for value in getattr(part, key)]
            for key in (*SCALARS, "gap")
        }
        up = np.concatenate([unpack(part.up) for part in answers])
        return SVMPathFigures(
            log_lambda=tilting_angle.log_lambdas(self.lambdas),
            factor_255=tilting_angle.FACTOR_255,
            classes=(self.first, self.second),
            n_per_class=len(pair.x) // 2,
            n_test=len(pair.test_x),
            centroid_distance=round(pair.axis[1], 6),
            **scalars,
            best=int(np.argmin([error for part in answers for error in part.test_error])),
            exact=_worst([part.exact for part in answers]),
            histogram=tilting_angle.histogram(np.concatenate([unpack(part.histogram) for part in answers])),
            plane=Plane(pack(_across(pair, _shown(pair)), 0.02), pack(up, 0.04)),
            weights=_weights(answers),
            centroids=pack(np.stack(pair.centroids) * 255),
            pictures=_pictures(pair, answers),
            published=self._published(scalars),
        )

    def claims(self, figures: SVMPathFigures) -> dict[str, bool]:
        """Return what the article states, and what must hold exactly."""
        exact, errors, best = figures.exact, figures.test_error, figures.best
        angle, robust = np.array(figures.angle), np.array(figures.d_adv)
        claims = {
            "Every classifier is the optimum, to a duality gap of one part in a thousand.": all(
                gap < 1e-3 for gap in figures.gap
            ),
            "d_adv is half the distance of the centroids times the cosine of the angle.": exact.d_adv < 1e-9,
            "For the largest lambda, w is (j - i) / (4 lambda).": exact.nearest_centroid < 1e-9,
            "A mirror image is twice as far from its image as the boundary is.": exact.mirror < 1e-9,
            "A mirror image has the opposite score.": exact.mirror_score < 1e-9,
            "The boundary only tilts further as lambda falls.": bool((np.diff(angle) > -1e-3).all()),
            "d_adv only falls as lambda falls.": bool((np.diff(robust) < 1e-3).all()),
            "The test error is lowest at neither end of the path.": errors[best] < min(errors[0], errors[-1]),
            "The most accurate classifier is not the most robust one.": bool(
                robust[best] < robust.max() - 1e-3
            ),
        }
        return claims | _agreement(figures.published)

    def _pair(self) -> tilting_angle.Pair:
        return tilting_angle.pair(self.first, self.second, self.n, self.data)

    def _published(self, scalars: Mapping[str, Sequence[float]]) -> Differences | None:
        """Return how far the figures are from the article's, None where it has none for such data."""
        theirs = tilting_angle.published(self.first, self.second)
        if theirs is None or source(self.data) != MNIST or self.n != 3000 or 80 % (self.lambdas - 1):
            return None
        return differences(scalars, theirs, 80 // (self.lambdas - 1))


def differences(scalars: Mapping[str, ArrayLike], theirs: PublishedPath, stride: int) -> Differences:
    """Return the worst differences of ``scalars``, by the name of their field in `Measures`, from the article
    over the path, whose every ``stride``-th lambda was computed."""

    def worst(name: str) -> float:
        return float(np.abs(np.array(scalars[name]) - getattr(theirs, name)[::stride]).max().round(6))

    degrees = round(float(np.degrees(worst("angle"))), 3)
    return Differences(degrees, worst("d_adv"), worst("train_error"), worst("test_error"))


def _agreement(published: Differences | None) -> dict[str, bool]:
    if published is None:
        return {}
    return {
        "The angle is within 2 degrees of the article's at every lambda.": published.angle_degrees
        <= ANGLE_BAND,
        "The test error is within half a point of the article's at every lambda.": published.test_error
        <= ERROR_BAND,
    }


def _restored(store: Store, name: str) -> Solution:
    arrays = {key: value.numpy() for key, value in store.tensors(name).items()}
    return Solution(arrays["weights"], float(arrays["bias"][0]), arrays["multipliers"], 0.0)


def _shown(pair: tilting_angle.Pair) -> Array:
    """Return the images that the plane shows: as many of the first digit, then of the second."""
    return np.concatenate([pair.x[pair.y == side][:POINTS] for side in (-1, 1)])


def _across(pair: tilting_angle.Pair, x: Array) -> Array:
    """Return the coordinates ``(n,)`` along the line of the centroids, from their middle."""
    values: Array = (x - sum(pair.centroids) / 2) @ pair.axis[0]
    return values


def _described(pair: tilting_angle.Pair, logs: Sequence[float], solutions: list[Solution]) -> PathPart:
    """Return all that the figures need of each solution."""
    measured = [tilting_angle.measure(pair, solution.weights, solution.bias) for solution in solutions]
    scalars = {key: [getattr(measures, key) for measures in measured] for key in SCALARS}
    ups = [tilting_angle.upward(pair, solution.weights) for solution in solutions]
    middle, typical = sum(pair.centroids) / 2, pair.typical
    both = list(zip(solutions, measured, strict=True))
    units = np.stack([solution.weights / measures.norm for solution, measures in both])
    peaks = np.abs(units).max(1)
    distances = [(typical @ solution.weights + solution.bias) / m.norm for solution, m in both]
    return PathPart(
        **scalars,
        gap=[solution.gap for solution in solutions],
        histogram=pack(np.stack([_counts(pair, solution) for solution in solutions])),
        up=pack(np.stack(ups) @ (_shown(pair) - middle).T, 0.04),
        peak=[float(peak) for peak in peaks],
        weights=pack(units / peaks[:, None] * 127),
        distance=[[float(value) for value in row] for row in distances],
        picture_up=[[float(value) for value in (typical - middle) @ up] for up in ups],
        exact=_exact(pair, logs, solutions, measured),
    )


def _counts(pair: tilting_angle.Pair, of: Solution) -> NDArray[np.int_]:
    """Return how many images of each class are in each bin of the histogram, ``(2, BINS)``."""
    distances = pair.y * (pair.x @ of.weights + of.bias) / np.linalg.norm(of.weights)
    return tilting_angle.count_distances(pair.y, distances)


def _exact(
    pair: tilting_angle.Pair, logs: Sequence[float], solutions: list[Solution], measured: list[Measures]
) -> Exact:
    """Return by how much each identity is missed at worst."""
    toward, size = pair.axis
    missed = []
    for log, solution, measures in zip(logs, solutions, measured, strict=True):
        centroid = 0.0
        if (solution.multipliers == 1).all():
            plain = size * toward / (4 * 10**log)
            centroid = float(np.linalg.norm(solution.weights - plain) / measures.norm)
        d_adv = abs(measures.d_adv - size / 2 * np.cos(measures.angle)) / size
        for x in pair.typical:
            missed.append(Exact(float(d_adv), centroid, *_mirror_missed(x, solution, measures.norm)))
    return _worst(missed)


def _mirror_missed(x: Array, solution: Solution, norm: float) -> tuple[float, float]:
    """Return by how much the mirror image of ``x`` misses its distance, and the opposite score."""
    weights, bias = solution.weights, solution.bias
    score, image = float(x @ weights + bias), tilting_angle.mirror(x, weights, bias)
    travelled = float(np.linalg.norm(image - x))
    opposite = abs(float(image @ weights + bias) + score) / (1 + abs(score))
    return abs(travelled - 2 * abs(score) / norm), opposite


def _worst(missed: Sequence[Exact]) -> Exact:
    return Exact(*(max(getattr(exact, field.name) for exact in missed) for field in fields(Exact)))


def _weights(parts: Sequence[PathPart]) -> WeightImages:
    images = np.concatenate([unpack(part.weights) for part in parts])
    return WeightImages(pack(images), [round(peak, 5) for part in parts for peak in part.peak])


def _pictures(pair: tilting_angle.Pair, parts: Sequence[PathPart]) -> TypicalImages:
    """Return the two typical images; a mirror image is x - 2 d(x) w / ||w||."""
    return TypicalImages(
        images=pack(pair.typical * 255),
        across=[round(float(value), 4) for value in _across(pair, pair.typical)],
        distance=pack([row for part in parts for row in part.distance], 0.001),
        up=pack([row for part in parts for row in part.picture_up], 0.01),
    )
