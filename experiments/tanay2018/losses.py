"""Tanay and Griffin 2018, section 2: the norm of w is the scale at which a loss sees the distances.

s(x) = ||w|| d(x), so the empirical risk is the mean of f(||w|| y d(x)). Large ||w||: it is ||w|| d_err.
Small ||w||: it is alpha - beta ||w|| d_adv, with alpha = beta = 1 for the hinge loss, and ln 2 and 1/2 for
softplus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from experiments.cache import Store
from experiments.core import JSON, ExperimentCard
from experiments.methods.svm import Array
from experiments.tanay2018 import tilting_angle
from experiments.toolkit.bases import OfTwoDigits
from experiments.toolkit.packing import pack

LOGS = [2.0 - k for k in range(9)]
"""log10 of the lambdas whose machines give the directions."""
NORMS = [round(-4 + 0.1 * k, 1) for k in range(81)]
"""log10 of the norms at which the risks are taken."""
SHOWN = -2.0
BAND = 0.01
BINS, RANGE = 80, 20.0


class Loss(NamedTuple):
    """f of z = y s(x); for small z it is ``alpha - beta z``."""

    function: Callable[[Array], Array]
    alpha: float
    beta: float


LOSSES = {
    "zero_one": Loss(lambda z: (z <= 0).astype(float), 0.0, 0.0),
    "hinge": Loss(lambda z: np.maximum(1 - z, 0), 1.0, 1.0),
    "softplus": Loss(lambda z: np.logaddexp(0, -z), float(np.log(2)), 0.5),
}
SMOOTH = ("hinge", "softplus")


@dataclass(frozen=True)
class Losses(OfTwoDigits):
    """Three losses over the distances of two digits from a boundary, for every norm of w."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "losses",
        "The norm scales the loss",
        "What does a classifier minimise when its weights are large, and what when they are small?",
        "Tanay & Griffin 2018, A New Angle on L2 Regularization",
        "https://arxiv.org/abs/1806.11186",
        "Section 2, the figures on the scaled loss",
    )

    def pieces(self) -> list[str]:
        """Return the two steps: the directions, and the risks along each."""
        return ["directions", "risks"]

    def piece(self, name: str, store: Store) -> JSON:
        """Train support vector machines and keep y d(x), or take the risks over those distances."""
        if name == "risks":
            rows = store.tensors("directions")["distances"].numpy()
            return {loss: [[risk(loss, 10**k, row) for k in NORMS] for row in rows] for loss in LOSSES}
        pair = tilting_angle.pair(self.first, self.second, self.n, self.data)
        found = list(tilting_angle.path(pair, LOGS))
        measured = [tilting_angle.measure(pair, each.weights, each.bias) for each in found]
        distances = [
            pair.y * (pair.x @ each.weights + each.bias) / row.norm
            for each, row in zip(found, measured, strict=True)
        ]
        store.put_tensors(name, {"distances": torch.from_numpy(np.stack(distances))})
        return {
            "measures": [row._asdict() for row in measured],
            "largest": [float(np.abs(row).max()) for row in distances],
            "histogram": _histogram(pair.y, distances[LOGS.index(SHOWN)]),
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the risks over the norm for the shown direction; ``large`` is the risk over the norm, which
        tends to d_err, and ``small`` is (alpha - risk) / (beta norm), which tends to d_adv.
        """
        given, risks, at = done["directions"], done["risks"], LOGS.index(SHOWN)
        row, norms = given["measures"][at], 10 ** np.array(NORMS)
        curves = {loss: np.array(risks[loss][at]) for loss in LOSSES}
        rounded = {loss: [float(f"{v:.6g}") for v in values] for loss, values in curves.items()}
        return {
            "classes": [self.first, self.second],
            "log_lambda": SHOWN,
            "log_norm": NORMS,
            "own_log_norm": round(float(np.log10(row["norm"])), 4),
            "d_adv": row["d_adv"],
            "d_err": row["d_err"],
            "risk": rounded,
            "constants": {loss: [LOSSES[loss].alpha, LOSSES[loss].beta] for loss in SMOOTH},
            "large": {loss: _shown(curves[loss] / norms) for loss in SMOOTH},
            "small": {
                loss: _shown((LOSSES[loss].alpha - curves[loss]) / LOSSES[loss].beta / norms)
                for loss in SMOOTH
            },
            "linear_below": float(np.log10(1 / given["largest"][at])),
            "histogram": given["histogram"],
            "directions": {
                "log_lambda": LOGS,
                **{key: [each[key] for each in given["measures"]] for key in ("angle", "d_adv", "d_err")},
                "best": {
                    loss: [int(np.argmin(np.array(risks[loss])[:, k])) for k in (0, -1)] for loss in SMOOTH
                },
            },
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the article states of the three losses."""
        risk, directions = figures["risk"], figures["directions"]
        errors, robust = np.array(directions["d_err"]), np.array(directions["d_adv"])
        below = [k for k, log in enumerate(NORMS) if log < figures["linear_below"]]
        d_adv, d_err = figures["d_adv"], figures["d_err"]
        large = [abs(figures["large"][loss][-1] - d_err) for loss in SMOOTH]
        small = [abs(figures["small"][loss][0] - d_adv) for loss in SMOOTH]
        best = list(directions["best"].values())
        return {
            "The 0-1 loss does not depend on the norm of w.": len(set(risk["zero_one"])) == 1,
            "The hinge and the softplus loss do depend on it.": all(
                max(risk[loss]) > 2 * min(risk[loss]) for loss in SMOOTH
            ),
            "For a large norm the risk is the norm times d_err, within one percent.": max(large)
            <= BAND * d_err + 1e-5 * d_adv,
            "For a small norm the risk is alpha - beta times the norm times d_adv, within one percent.": max(
                small
            )
            <= BAND * d_adv,
            "The hinge risk is exactly so while every image is inside the margin.": all(
                abs(figures["small"]["hinge"][k] - d_adv) < 1e-6 * d_adv for k in below
            ),
            "With a small norm, the direction of least risk is that of largest d_adv.": all(
                robust[each[0]] >= robust.max() - 1e-9 for each in best
            ),
            "With a large norm, the direction of least risk is that of smallest d_err.": all(
                errors[each[1]] <= errors.min() + 1e-9 for each in best
            ),
        }


def risk(loss: str, norm: float, distances: Array) -> float:
    """Return the mean of the loss at ``norm`` times ``distances``, which are y d(x) ``(n,)``."""
    return float(LOSSES[loss].function(norm * distances).mean())


def _shown(values: Array) -> list[float]:
    return [float(f"{value:.8g}") for value in values]


def _histogram(y: Array, distances: Array) -> JSON:
    """Return counts ``(2, BINS)`` of y d(x) in the article's unit, of each class."""
    inside = np.clip(distances * tilting_angle.PLOT_UNIT, -RANGE, RANGE - 1e-9)
    counts = [np.histogram(inside[y == side], np.linspace(-RANGE, RANGE, BINS + 1))[0] for side in (-1, 1)]
    return pack(np.stack(counts)) | {"bins": BINS, "range": RANGE, "unit": tilting_angle.PLOT_UNIT}
