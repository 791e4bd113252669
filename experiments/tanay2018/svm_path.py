"""Tanay and Griffin 2018, figures svm_mnist1 to 3: a support vector machine tilts as lambda falls.

Linear machines for two digits, with the mean hinge loss + lambda ||w||^2, for lambda from 10^2 down to 10^-6
(pixels in [0, 1]); each is the optimum to a stated duality gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.datasets.digit_sets import MNIST, source
from experiments.methods.svm import Array, Solution, unshared
from experiments.tanay2018 import tilting_angle
from experiments.toolkit.bases import OfTwoDigits
from experiments.toolkit.packing import pack, unpack

CHUNK = 9
POINTS = 150
BINS, RANGE = 80, 20.0
ANGLE_BAND, ERROR_BAND = 2.0, 0.005
"""How near to the article's is near enough: degrees, and a share of the test images."""
SCALARS = (*tilting_angle.Measures._fields, "gap")


@dataclass(frozen=True)
class SVMPath(OfTwoDigits):
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

    lambdas: int = setting(
        81, "Values of lambda", "How many, evenly from 10^2 down to 10^-6 on a log scale.", low=5, high=161
    )

    def pieces(self) -> list[str]:
        """Return one name for every nine values of lambda."""
        logs = tilting_angle.log_lambdas(self.lambdas)
        return [f"lambda from 10^{logs[k]:g}" for k in range(0, self.lambdas, CHUNK)]

    def piece(self, name: str, store: Store) -> JSON:
        """Follow the path through the piece's values of lambda, from where the last piece ended."""
        index = self.pieces().index(name)
        logs = tilting_angle.log_lambdas(self.lambdas)[index * CHUNK : (index + 1) * CHUNK]
        start = _restored(store, self.pieces()[index - 1]) if index else None
        with unshared():
            found = list(tilting_angle.path(self._pair(), logs, start))
            described = _described(self._pair(), logs, found)
        last = found[-1]
        kept = {"weights": last.weights, "multipliers": last.multipliers, "bias": np.array([last.bias])}
        store.put_tensors(name, {key: torch.from_numpy(value) for key, value in kept.items()})
        return described

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return, for each lambda, the scalars, the histogram of y d(x), the tilting plane, the weights."""
        chunks, pair = [done[name] for name in self.pieces()], self._pair()
        joined = {key: np.concatenate([unpack(each[key]) for each in chunks]) for key in ("histogram", "up")}
        scalars = {key: [v for each in chunks for v in each[key]] for key in SCALARS}
        best = int(np.argmin(scalars["test_error"]))
        result = {
            "log_lambda": tilting_angle.log_lambdas(self.lambdas),
            "factor_255": tilting_angle.FACTOR_255,
            "classes": [self.first, self.second],
            "n_per_class": len(pair.x) // 2,
            "n_test": len(pair.test_x),
            "centroid_distance": round(pair.axis[1], 6),
            **{key: [float(f"{v:.6g}") for v in values] for key, values in scalars.items()},
            "best": best,
            "exact": {key: max(e["exact"][key] for e in chunks) for key in chunks[0]["exact"]},
            "histogram": pack(joined["histogram"])
            | {"bins": BINS, "range": RANGE, "unit": tilting_angle.PLOT_UNIT},
            "plane": {"across": pack(_across(pair, _shown(pair)), 0.02), "up": pack(joined["up"], 0.04)},
            "weights": _weights(chunks),
            "centroids": pack(np.stack(pair.centroids) * 255),
            "pictures": _pictures(pair, chunks),
        }
        return result | {"published": self._published(result)}

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the article states, and what must hold exactly."""
        exact, errors, best = figures["exact"], figures["test_error"], figures["best"]
        angle, robust = np.array(figures["angle"]), np.array(figures["d_adv"])
        said = {
            "Every classifier is the optimum, to a duality gap of one part in a thousand.": all(
                gap < 1e-3 for gap in figures["gap"]
            ),
            "d_adv is half the distance of the centroids times the cosine of the angle.": exact["d_adv"]
            < 1e-9,
            "For the largest lambda, w is (j - i) / (4 lambda).": exact["nearest_centroid"] < 1e-9,
            "A mirror image is twice as far from its image as the boundary is.": exact["mirror"] < 1e-9,
            "A mirror image has the opposite score.": exact["mirror_score"] < 1e-9,
            "The boundary only tilts further as lambda falls.": bool((np.diff(angle) > -1e-3).all()),
            "d_adv only falls as lambda falls.": bool((np.diff(robust) < 1e-3).all()),
            "The test error is lowest at neither end of the path.": errors[best] < min(errors[0], errors[-1]),
            "The most accurate classifier is not the most robust one.": bool(
                robust[best] < robust.max() - 1e-3
            ),
        }
        return said | _agreement(figures["published"])

    def _pair(self) -> tilting_angle.Pair:
        return tilting_angle.pair(self.first, self.second, self.n, self.data)

    def _published(self, figures: Mapping[str, JSON]) -> JSON:
        """Return how far the figures are from the article's, None where it has none for such data."""
        theirs = tilting_angle.published(self.first, self.second)
        if theirs is None or source(self.data) != MNIST or self.n != 3000 or 80 % (self.lambdas - 1):
            return None
        return apart(figures, theirs, 80 // (self.lambdas - 1))


def apart(figures: Mapping[str, JSON], theirs: Mapping[str, Array], stride: int) -> dict[str, JSON]:
    """Return the worst differences from the article over the path, whose every ``stride``-th lambda was
    computed: degrees, pixels and shares of images.
    """
    keys = ("angle", "d_adv", "train_error", "test_error")
    worst = {
        key: float(np.abs(np.array(figures[key]) - theirs[key][::stride]).max().round(6)) for key in keys
    }
    return {"angle_degrees": round(float(np.degrees(worst.pop("angle"))), 3), **worst}


def _agreement(published: JSON) -> dict[str, bool]:
    if published is None:
        return {}
    return {
        "The angle is within 2 degrees of the article's at every lambda.": published["angle_degrees"]
        <= ANGLE_BAND,
        "The test error is within half a point of the article's at every lambda.": published["test_error"]
        <= ERROR_BAND,
    }


def _restored(store: Store, name: str) -> Solution:
    kept = {key: value.numpy() for key, value in store.tensors(name).items()}
    return Solution(kept["weights"], float(kept["bias"][0]), kept["multipliers"], 0.0)


def _shown(pair: tilting_angle.Pair) -> Array:
    """Return the images that the plane shows: as many of the first digit, then of the second."""
    return np.concatenate([pair.x[pair.y == side][:POINTS] for side in (-1, 1)])


def _across(pair: tilting_angle.Pair, x: Array) -> Array:
    """Return the coordinates ``(n,)`` along the line of the centroids, from their middle."""
    values: Array = (x - sum(pair.centroids) / 2) @ pair.axis[0]
    return values


def _described(pair: tilting_angle.Pair, logs: list[float], found: list[Solution]) -> dict[str, JSON]:
    """Return all that the figures need of each solution."""
    rows = [tilting_angle.measure(pair, each.weights, each.bias) for each in found]
    scalars = {key: [getattr(row, key) for row in rows] for key in tilting_angle.Measures._fields}
    ups = [tilting_angle.upward(pair, each.weights) for each in found]
    middle, typical = sum(pair.centroids) / 2, pair.typical
    units = np.stack([each.weights / row.norm for each, row in zip(found, rows, strict=True)])
    peaks = np.abs(units).max(1)
    distances = [(typical @ e.weights + e.bias) / r.norm for e, r in zip(found, rows, strict=True)]
    return {
        **scalars,
        "gap": [each.gap for each in found],
        "histogram": pack([_histogram(pair, each) for each in found]),
        "up": pack(np.stack(ups) @ (_shown(pair) - middle).T, 0.04),
        "peak": [float(peak) for peak in peaks],
        "weights": pack(units / peaks[:, None] * 127),
        "distance": [[float(v) for v in row] for row in distances],
        "picture_up": [[float(v) for v in (typical - middle) @ up] for up in ups],
        "exact": _exact(pair, logs, found, rows),
    }


def _histogram(pair: tilting_angle.Pair, of: Solution) -> Array:
    """Return counts ``(2, BINS)`` of y d(x) in the article's unit, of each class; the ends take the rest."""
    values = pair.y * (pair.x @ of.weights + of.bias) / np.linalg.norm(of.weights) * tilting_angle.PLOT_UNIT
    edges = np.linspace(-RANGE, RANGE, BINS + 1)
    inside = np.clip(values, -RANGE, RANGE - 1e-9)
    return np.stack([np.histogram(inside[pair.y == side], edges)[0] for side in (-1, 1)])


def _exact(
    pair: tilting_angle.Pair, logs: list[float], found: list[Solution], rows: list[tilting_angle.Measures]
) -> dict[str, float]:
    """Return by how much, relative to its size, each identity is missed at worst."""
    (toward, size), typical = pair.axis, pair.typical
    missed: dict[str, float] = {"d_adv": 0.0, "nearest_centroid": 0.0, "mirror": 0.0, "mirror_score": 0.0}
    for log, each, row in zip(logs, found, rows, strict=True):
        off = {"d_adv": abs(row.d_adv - size / 2 * np.cos(row.angle)) / size}
        if (each.multipliers == 1).all():
            plain = size * toward / (4 * 10**log)
            off["nearest_centroid"] = float(np.linalg.norm(each.weights - plain) / row.norm)
        for x in typical:
            score, image = (
                float(x @ each.weights + each.bias),
                tilting_angle.mirror(x, each.weights, each.bias),
            )
            travelled = float(np.linalg.norm(image - x))
            off["mirror"] = abs(travelled - 2 * abs(score) / row.norm)
            off["mirror_score"] = abs(float(image @ each.weights + each.bias) + score) / (1 + abs(score))
            missed = {key: max(value, off.get(key, 0.0)) for key, value in missed.items()}
    return missed


def _weights(chunks: list[JSON]) -> dict[str, JSON]:
    """Return w / ||w|| of each lambda as a picture: -127 to 127, which is its largest weight, ``peak``."""
    whole = np.concatenate([unpack(each["weights"]) for each in chunks])
    return {"images": pack(whole), "peak": [round(v, 5) for each in chunks for v in each["peak"]]}


def _pictures(pair: tilting_angle.Pair, chunks: list[JSON]) -> dict[str, JSON]:
    """Return the two typical images with d(x) and their place in the plane; a mirror image is
    x - 2 d(x) w / ||w||."""
    typical = pair.typical
    return {
        "images": pack(typical * 255),
        "across": [round(float(v), 4) for v in _across(pair, typical)],
        "distance": pack([row for each in chunks for row in each["distance"]], 0.001),
        "up": pack([row for each in chunks for row in each["picture_up"]], 0.01),
    }
