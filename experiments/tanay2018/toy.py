"""Tanay and Griffin 2018, section 1: two classes on a line, in a plane of images (a, b).

Every boundary through the origin whose normal (cos t, sin t) has 0 <= t < pi/2 separates the classes; the
closer t is to pi/2, the closer is each image's mirror image. One mislabelled image is enough to tilt a
classifier that is trained without weight decay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, Experiment, ExperimentCard, Published
from experiments.methods.svm import Array, Machine

NOISY = (0.07, -0.07)
"""An image of the second class's side that is labelled as of the first."""
NEAR, FAR = 0.2, 1.0
SHOWN = (-0.8, 0.0)
"""The image whose projection and mirror image the article draws."""
TILTED, UPRIGHT = Published(0.95), Published(0.0)
"""The article's drawn angles without and with weight decay, in quarter turns (pi/2)."""
ANGLE_BAND = 0.05
LOGS = [3 - 0.25 * k for k in range(57)]
STRONG = 0.1
"""The lambda that stands for "with weight decay"."""


@dataclass(frozen=True)
class Toy(Experiment):
    """Two classes on a line in the plane, and one noisy image."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "toy",
        "A boundary in the plane",
        "Can one mislabelled image tilt a boundary until every image has an adversarial twin?",
        "Tanay & Griffin 2018, A New Angle on L2 Regularization",
        "https://arxiv.org/abs/1806.11186",
        "Section 1, A toy problem",
        digits=False,
    )

    n: int = setting(21, "Images per class", "Evenly spaced along the class's segment.", low=10, high=1_000)

    def pieces(self) -> list[str]:
        """Return the geometry and the trainings, each through the origin and with an intercept."""
        losses = ("hinge", "logistic")
        return ["geometry", *(f"{loss} {end}" for loss in losses for end in ("centred", "free"))]

    def piece(self, name: str, store: Store) -> JSON:
        """Return the mirror images over the angle, or the normals over lambda."""
        if name == "geometry":
            return geometry(np.array(SHOWN), [k / 100 for k in range(100)])
        x, y = points(self.n)
        loss, intercept = name.split()[0], name.endswith("free")
        found = (hinge if loss == "hinge" else logistic)(x, y, [10**log for log in LOGS], intercept)
        return [_described(x, y, w, b) for w, b in found]

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the training set, the geometry, and for each training the angles along the path."""
        strong = int(np.argmin(np.abs(np.array(LOGS) - np.log10(STRONG))))
        trained = {}
        for name in self.pieces()[1:]:
            rows = done[name]
            trained[name] = {key: [row[key] for row in rows] for key in rows[0]}
            trained[name]["with"], trained[name]["without"] = rows[strong]["turn"], rows[-1]["turn"]
        x, y = points(self.n)
        return {
            "x": x.round(6).tolist(),
            "labels": y.tolist(),
            "noisy": list(NOISY),
            "geometry": done["geometry"],
            "log_lambda": LOGS,
            "strong": strong,
            "trained": trained,
            "limit": limit(),
            "published": {"without": TILTED.value, "with": UPRIGHT.value},
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the article states of the plane, and whether its drawn angles are met."""
        trained, shown = figures["trained"], figures["geometry"]
        centred = [trained[name] for name in self.pieces()[1:] if name.endswith("centred")]
        free = [trained[name] for name in self.pieces()[1:] if name.endswith("free")]
        wanted = figures["published"]
        return {
            "A mirror image has the same confidence, for the other class.": shown["score_missed"] < 1e-12,
            "A projected image lies on the boundary.": shown["projected_missed"] < 1e-12,
            "The mirror image comes ever closer as the boundary tilts.": bool(
                (np.diff(shown["distance"]) < 0).all()
            ),
            "Without L2 the boundary tilts until the noisy image is on its labelled side.": all(
                each["noisy_margin"][-1] > 0 and each["without"] > 0.5 for each in centred
            ),
            "With L2 the boundary stands upright and the noisy image is ignored.": all(
                abs(each["with"] - wanted["with"]) <= ANGLE_BAND
                and each["noisy_margin"][figures["strong"]] < 0
                for each in centred
            ),
            "Without L2 both losses near the boundary of largest margin.": all(
                abs(each["without"] - figures["limit"]["centred"]) <= 0.03 for each in centred
            ),
            "Without L2 the angle is the article's.": all(
                abs(each["without"] - wanted["without"]) <= ANGLE_BAND for each in centred
            ),
            "An intercept takes over part of the tilt.": all(
                each["without"] < other["without"] for each, other in zip(free, centred, strict=True)
            ),
        }


def points(n: int) -> tuple[Array, Array]:
    """Return images ``(2 n + 1, 2)`` and labels of -1 and +1: the two segments, then the noisy image."""
    row = np.linspace(NEAR, FAR, n)
    a = np.concatenate([-row, row, [NOISY[0]]])
    b = np.append(np.zeros(2 * n), NOISY[1])
    return np.column_stack([a, b]), np.repeat([-1.0, 1.0, -1.0], [n, n, 1])


def normal(turn: float) -> Array:
    """Return the unit normal at ``turn`` quarter turns: (cos, sin) of ``turn`` times pi/2."""
    angle = turn * np.pi / 2
    return np.array([np.cos(angle), np.sin(angle)])


def projected(x: Array, unit: Array) -> Array:
    """Return x - (x.w) w: the nearest point of the boundary through the origin."""
    return x - (x @ unit) * unit


def mirrored(x: Array, unit: Array) -> Array:
    """Return x - 2 (x.w) w: the mirror image in the boundary through the origin."""
    return x - 2 * (x @ unit) * unit


def geometry(x: Array, turns: list[float]) -> dict[str, JSON]:
    """Return the projected and the mirror image of ``x`` for each angle, and by how much they miss."""
    units = [normal(turn) for turn in turns]
    onto, over = [projected(x, unit) for unit in units], [mirrored(x, unit) for unit in units]
    scores = [float(x @ unit) for unit in units]
    return {
        "image": x.tolist(),
        "turn": turns,
        "projected": np.round(onto, 6).tolist(),
        "mirror": np.round(over, 6).tolist(),
        "distance": [round(float(np.linalg.norm(x - each)), 6) for each in over],
        "projected_missed": max(abs(float(p @ u)) for p, u in zip(onto, units, strict=True)),
        "score_missed": max(abs(float(m @ u) + s) for m, u, s in zip(over, units, scores, strict=True)),
    }


def hinge(x: Array, y: Array, lambdas: list[float], intercept: bool) -> list[tuple[Array, float]]:
    """Return w and b of least mean hinge loss + lambda ||w||^2 for each of ``lambdas``."""
    found = Machine(x, y, intercept).path(lambdas, tolerance=1e-8)
    return [(each.weights, each.bias) for each in found]


def logistic(x: Array, y: Array, lambdas: list[float], intercept: bool) -> list[tuple[Array, float]]:
    """Return w and b of least mean softplus(-y s) + lambda ||w||^2, each begun at the one before."""
    rows = y[:, None] * np.column_stack([x, np.full(len(x), float(intercept))])
    at, found = np.zeros(3), []
    for value in lambdas:
        decay = 2 * value * np.array([1.0, 1.0, 0.0 if intercept else 1.0])

        def loss(v: Array, decay: Array = decay) -> tuple[float, Array]:
            margins = rows @ v
            risk = float(np.logaddexp(0, -margins).mean() + (decay * v) @ v / 2)
            return risk, decay * v - (expit(-margins) @ rows) / len(rows)

        def curve(v: Array, decay: Array = decay) -> Array:
            share = expit(rows @ v)
            bend: Array = (rows.T * (share * (1 - share))) @ rows / len(rows) + np.diag(decay)
            return bend

        at = minimize(loss, at, jac=True, hess=curve, method="trust-exact", options={"gtol": 1e-11}).x
        found.append((at[:2], float(at[2])))
    return found


def limit() -> dict[str, float]:
    """Return the angles of largest margin, in quarter turns.

    Through the origin the nearest image of a segment and the noisy one are equally far from the boundary:
    .2 cos t = .07 (sin t - cos t). With an intercept the boundary is halfway between the noisy image and the
    nearest one of the second class.
    """
    a, b = NOISY
    return {
        "centred": float(np.arctan2(NEAR + a, -b) * 2 / np.pi),
        "free": float(np.arctan2(-b, NEAR - a) * 2 / np.pi),
    }


def _described(x: Array, y: Array, weights: Array, bias: float) -> dict[str, float]:
    size = float(np.linalg.norm(weights))
    margins = y * (x @ weights + bias) / size
    return {
        "turn": round(float(np.arctan2(weights[1], weights[0]) * 2 / np.pi), 6),
        "norm": float(f"{size:.6g}"),
        "shift": round(bias / size, 6),
        "noisy_margin": round(float(margins[-1]), 6),
        "d_adv": round(float(margins.mean()), 6),
        "train_error": round(float((margins <= 0).mean()), 6),
    }
