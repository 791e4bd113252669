"""Tanay and Griffin 2018, section 2: the norm of w is the scale at which a loss sees the distances.

s(x) = ||w|| d(x), so the empirical risk is the mean of f(||w|| y d(x)). Large ||w||: it is ||w|| d_err.
Small ||w||: it is alpha - beta ||w|| d_adv, with alpha = beta = 1 for the hinge loss, and ln 2 and 1/2 for
softplus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from experiments.cache import Store
from experiments.core import ExperimentCard, Stage
from experiments.methods.svm import Array
from experiments.tanay2018 import tilting_angle
from experiments.tanay2018.tilting_angle import Histogram, Measures
from experiments.toolkit.bases import OfTwoDigits

LOGS = [2.0 - k for k in range(9)]
"""log10 of the lambdas whose machines give the directions."""
NORMS = [round(-4 + 0.1 * k, 1) for k in range(81)]
"""log10 of the norms at which the risks are taken."""
SHOWN = -2.0
BAND = 0.01


@dataclass(frozen=True)
class Loss:
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
class Directions:
    """Of the machines of `LOGS`: their ``measures``, and the ``largest`` absolute distance of an image from
    each boundary; ``histogram`` ``(2, BINS)``: of the distances from the one that is shown."""

    measures: list[Measures]
    largest: list[float]
    histogram: Histogram


@dataclass(frozen=True)
class Risks:
    """The mean loss by the loss's name, ``(directions, norms)``."""

    by_loss: dict[str, list[list[float]]]


@dataclass(frozen=True)
class DirectionsFigures:
    """The directions of all machines: log10 of lambda, ``angle`` in radians, distances in the unit of pixels;
    ``best``: by loss, the index of the direction of least risk at the smallest and at the largest norm."""

    log_lambda: list[float]
    angle: list[float]
    d_adv: list[float]
    d_err: list[float]
    best: dict[str, list[int]]


@dataclass(frozen=True)
class LossesFigures:
    """The losses over the norm of w along one direction, and the directions.

    ``classes``: the two digits; ``log_lambda``: log10 of that of the direction; ``log_norm``: log10 of the
    norms; ``own_log_norm``: of that which training chose; ``d_adv``, ``d_err``: the distances in the unit of
    pixels; ``risk``: the mean loss at each norm, by loss; ``constants``: alpha and beta; ``large``: the risk
    over the norm, which tends to d_err; ``small``: (alpha - risk) / (beta norm), which tends to d_adv;
    ``linear_below``: log10 of the norm below which no image is outside the margin; ``histogram``
    ``(2, BINS)``: of y d(x).
    """

    classes: tuple[int, int]
    log_lambda: float
    log_norm: list[float]
    own_log_norm: float
    d_adv: float
    d_err: float
    risk: dict[str, list[float]]
    constants: dict[str, tuple[float, float]]
    large: dict[str, list[float]]
    small: dict[str, list[float]]
    linear_below: float
    histogram: Histogram
    directions: DirectionsFigures


@dataclass(frozen=True)
class DirectionsStage(Stage):
    """Support vector machines are trained, and y d(x) stored as tensors."""

    answer: ClassVar[type] = Directions

    @property
    def name(self) -> str:
        """Return the stage's name; there is one."""
        return "directions"


@dataclass(frozen=True)
class RisksStage(Stage):
    """The risks are taken over those distances."""

    answer: ClassVar[type] = Risks

    @property
    def name(self) -> str:
        """Return the stage's name; there is one."""
        return "risks"


@dataclass(frozen=True)
class Losses(OfTwoDigits[Directions | Risks, LossesFigures]):
    """Three losses over the distances of two digits from a boundary, for every norm of w."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "losses",
        "The norm scales the loss",
        "What does a classifier minimise when its weights are large, and what when they are small?",
        "Tanay & Griffin 2018, A New Angle on L2 Regularization",
        "https://arxiv.org/abs/1806.11186",
        "Section 2, the figures on the scaled loss",
    )

    result: ClassVar[type] = LossesFigures
    version: ClassVar[int] = 2

    def stages(self) -> list[Stage]:
        """Return the two stages: the directions, and the risks along each."""
        return [DirectionsStage(), RisksStage()]

    def carry_out(self, stage: DirectionsStage | RisksStage, store: Store) -> Directions | Risks:
        """Train support vector machines and store y d(x), or take the risks over those distances."""
        if isinstance(stage, RisksStage):
            return _risks(store.tensors(DirectionsStage().name)["distances"].numpy())
        pair = tilting_angle.pair(self.first, self.second, self.n, self.data)
        solutions = list(tilting_angle.path(pair, LOGS))
        measured = [tilting_angle.measure(pair, solution.weights, solution.bias) for solution in solutions]
        distances = [
            pair.y * (pair.x @ solution.weights + solution.bias) / measures.norm
            for solution, measures in zip(solutions, measured, strict=True)
        ]
        store.put_tensors(stage.name, {"distances": torch.from_numpy(np.stack(distances))})
        counts = tilting_angle.count_distances(pair.y, distances[LOGS.index(SHOWN)])
        largest = [float(np.abs(values).max()) for values in distances]
        return Directions(measured, largest, tilting_angle.histogram(counts))

    def summarise(self, answers: Sequence[Directions | Risks]) -> LossesFigures:
        """Return the risks over the norm for the shown direction, and all directions."""
        directions, risks = answers
        assert isinstance(directions, Directions) and isinstance(risks, Risks)
        at, norms = LOGS.index(SHOWN), 10 ** np.array(NORMS)
        measures = directions.measures[at]
        curves = {loss: np.array(risks.by_loss[loss][at]) for loss in LOSSES}
        return LossesFigures(
            classes=(self.first, self.second),
            log_lambda=SHOWN,
            log_norm=NORMS,
            own_log_norm=round(float(np.log10(measures.norm)), 4),
            d_adv=measures.d_adv,
            d_err=measures.d_err,
            risk={loss: [float(f"{v:.6g}") for v in values] for loss, values in curves.items()},
            constants={loss: (LOSSES[loss].alpha, LOSSES[loss].beta) for loss in SMOOTH},
            large={loss: _shown(curves[loss] / norms) for loss in SMOOTH},
            small={
                loss: _shown((LOSSES[loss].alpha - curves[loss]) / LOSSES[loss].beta / norms)
                for loss in SMOOTH
            },
            linear_below=float(np.log10(1 / directions.largest[at])),
            histogram=directions.histogram,
            directions=_directions(directions.measures, risks),
        )

    def claims(self, figures: LossesFigures) -> dict[str, bool]:
        """Return what the article states of the three losses."""
        risk = figures.risk
        return {
            "The 0-1 loss does not depend on the norm of w.": len(set(risk["zero_one"])) == 1,
            "The hinge and the softplus loss do depend on it.": all(
                max(risk[loss]) > 2 * min(risk[loss]) for loss in SMOOTH
            ),
            **_limits(figures),
            **_best_directions(figures.directions),
        }


def _risks(distances: Array) -> Risks:
    """Return the risks over ``distances`` ``(directions, n)``, which are y d(x)."""
    return Risks({loss: [[risk(loss, 10**k, row) for k in NORMS] for row in distances] for loss in LOSSES})


def _directions(measured: Sequence[Measures], risks: Risks) -> DirectionsFigures:
    return DirectionsFigures(
        log_lambda=LOGS,
        angle=[measures.angle for measures in measured],
        d_adv=[measures.d_adv for measures in measured],
        d_err=[measures.d_err for measures in measured],
        best={
            loss: [int(np.argmin(np.array(risks.by_loss[loss])[:, k])) for k in (0, -1)] for loss in SMOOTH
        },
    )


def _limits(figures: LossesFigures) -> dict[str, bool]:
    d_adv, d_err = figures.d_adv, figures.d_err
    below = [k for k, log in enumerate(NORMS) if log < figures.linear_below]
    large = [abs(figures.large[loss][-1] - d_err) for loss in SMOOTH]
    small = [abs(figures.small[loss][0] - d_adv) for loss in SMOOTH]
    return {
        "For a large norm the risk is the norm times d_err, within one percent.": max(large)
        <= BAND * d_err + 1e-5 * d_adv,
        "For a small norm the risk is alpha - beta times the norm times d_adv, within one percent.": max(
            small
        )
        <= BAND * d_adv,
        "The hinge risk is exactly so while every image is inside the margin.": all(
            abs(figures.small["hinge"][k] - d_adv) < 1e-6 * d_adv for k in below
        ),
    }


def _best_directions(directions: DirectionsFigures) -> dict[str, bool]:
    errors, robust = np.array(directions.d_err), np.array(directions.d_adv)
    best = list(directions.best.values())
    return {
        "With a small norm, the direction of least risk is that of largest d_adv.": all(
            robust[first] >= robust.max() - 1e-9 for first, _ in best
        ),
        "With a large norm, the direction of least risk is that of smallest d_err.": all(
            errors[last] <= errors.min() + 1e-9 for _, last in best
        ),
    }


def risk(loss: str, norm: float, distances: Array) -> float:
    """Return the mean of the loss at ``norm`` times ``distances``, which are y d(x) ``(n,)``."""
    return float(LOSSES[loss].function(norm * distances).mean())


def _shown(values: Array) -> list[float]:
    return [float(f"{value:.8g}") for value in values]
