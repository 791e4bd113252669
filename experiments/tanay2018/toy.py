"""Tanay and Griffin 2018, section 1: two classes on a line, in a plane of images (a, b).

Every boundary through the origin whose normal (cos t, sin t) has 0 <= t < pi/2 separates the classes; the
closer t is to pi/2, the closer is each image's mirror image. One mislabelled image is enough to tilt a
classifier that is trained without weight decay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from attacks.settings import setting
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Published, Stage
from experiments.methods.svm import Array, Machine
from experiments.toolkit.codec import key

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
class Geometry:
    """The ``projected`` and the ``mirror`` image of one ``image`` (a, b) for each ``turn`` of the normal, in
    quarter turns; ``distance``: between image and mirror image; ``projected_missed``: the largest absolute
    score of a projected image; ``score_missed``: the largest absolute sum of the scores of an image and its
    mirror image. Both are 0 but for rounding."""

    image: list[float]
    turn: list[float]
    projected: list[list[float]]
    mirror: list[list[float]]
    distance: list[float]
    projected_missed: float
    score_missed: float


@dataclass(frozen=True)
class Boundary:
    """One trained boundary: ``turn`` of the normal in quarter turns, ``norm``: ||w||, ``shift``: b / ||w||,
    ``noisy_margin``: y d(x) of the noisy image, ``d_adv``: the mean of y d(x), and the training error in
    [0, 1]."""

    turn: float
    norm: float
    shift: float
    noisy_margin: float
    d_adv: float
    train_error: float


@dataclass(frozen=True)
class TrainedPath:
    """`Boundary` as lists over `LOGS`."""

    turn: list[float]
    norm: list[float]
    shift: list[float]
    noisy_margin: list[float]
    d_adv: list[float]
    train_error: list[float]


@dataclass(frozen=True)
class Trained(TrainedPath):
    """A path, and its ``turn`` at the lambda of `STRONG` and at the last one."""

    with_decay: float = field(metadata=key("with"))
    without_decay: float = field(metadata=key("without"))


@dataclass(frozen=True)
class Limit:
    """The turns of the boundary of largest margin, in quarter turns: through the origin, and with an
    intercept."""

    centred: float
    free: float


@dataclass(frozen=True)
class PublishedTurns:
    """The article's drawn angles, in quarter turns."""

    without_decay: float = field(metadata=key("without"))
    with_decay: float = field(metadata=key("with"))


@dataclass(frozen=True)
class ToyFigures:
    """The images ``x`` ``(2 n + 1, 2)`` and ``labels`` of -1 and +1, the ``noisy`` image last; ``trained``:
    by the name of the training (`TrainingStage.name`); ``log_lambda``: log10; ``strong``: index of the lambda
    that stands for weight decay."""

    x: list[list[float]]
    labels: list[float]
    noisy: tuple[float, float]
    geometry: Geometry
    log_lambda: list[float]
    strong: int
    trained: dict[str, Trained]
    limit: Limit
    published: PublishedTurns


@dataclass(frozen=True)
class GeometryStage(Stage):
    """The mirror images over the angle."""

    answer: ClassVar[type] = Geometry

    @property
    def name(self) -> str:
        """Return the stage's name; there is one."""
        return "geometry"


@dataclass(frozen=True)
class TrainingStage(Stage):
    """Trainings over lambda with a ``loss``, "hinge" or "logistic", with an ``intercept`` or through the
    origin."""

    answer: ClassVar[type] = TrainedPath

    loss: str
    intercept: bool

    @property
    def name(self) -> str:
        """Return the loss, and whether the boundary is centred or free."""
        return f"{self.loss} {'free' if self.intercept else 'centred'}"


TRAININGS = [TrainingStage(loss, intercept) for loss in ("hinge", "logistic") for intercept in (False, True)]


@dataclass(frozen=True)
class Toy(Experiment[Geometry | TrainedPath, ToyFigures]):
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

    result: ClassVar[type] = ToyFigures
    version: ClassVar[int] = 2

    n: int = setting(21, "Images per class", "Evenly spaced along the class's segment.", low=10, high=1_000)

    def stages(self) -> list[Stage]:
        """Return the geometry and the trainings: both losses, through the origin and with an intercept."""
        return [GeometryStage(), *TRAININGS]

    def carry_out(self, stage: GeometryStage | TrainingStage, store: Store) -> Geometry | TrainedPath:
        """Return the mirror images over the angle, or the boundaries over lambda."""
        if isinstance(stage, GeometryStage):
            return geometry(np.array(SHOWN), [k / 100 for k in range(100)])
        x, y = points(self.n)
        train = hinge if stage.loss == "hinge" else logistic
        solutions = train(x, y, [10**log for log in LOGS], stage.intercept)
        boundaries = [_described(x, y, weights, bias) for weights, bias in solutions]
        return TrainedPath(*([getattr(b, column.name) for b in boundaries] for column in fields(Boundary)))

    def summarise(self, answers: Sequence[Geometry | TrainedPath]) -> ToyFigures:
        """Return the training set, the geometry, and for each training the angles along the path."""
        (shown,) = (answer for answer in answers if isinstance(answer, Geometry))
        paths = [answer for answer in answers if isinstance(answer, TrainedPath)]
        strong = int(np.argmin(np.abs(np.array(LOGS) - np.log10(STRONG))))
        x, y = points(self.n)
        return ToyFigures(
            x=x.round(6).tolist(),
            labels=y.tolist(),
            noisy=NOISY,
            geometry=shown,
            log_lambda=LOGS,
            strong=strong,
            trained={
                stage.name: Trained(**vars(path), with_decay=path.turn[strong], without_decay=path.turn[-1])
                for stage, path in zip(TRAININGS, paths, strict=True)
            },
            limit=limit(),
            published=PublishedTurns(without_decay=TILTED.value, with_decay=UPRIGHT.value),
        )

    def claims(self, figures: ToyFigures) -> dict[str, bool]:
        """Return what the article states of the plane, and whether its drawn angles are met."""
        shown = figures.geometry
        centred = [figures.trained[stage.name] for stage in TRAININGS if not stage.intercept]
        free = [figures.trained[stage.name] for stage in TRAININGS if stage.intercept]
        wanted = figures.published
        return {
            "A mirror image has the same confidence, for the other class.": shown.score_missed < 1e-12,
            "A projected image lies on the boundary.": shown.projected_missed < 1e-12,
            "The mirror image comes ever closer as the boundary tilts.": bool(
                (np.diff(shown.distance) < 0).all()
            ),
            "Without L2 the boundary tilts until the noisy image is on its labelled side.": all(
                path.noisy_margin[-1] > 0 and path.without_decay > 0.5 for path in centred
            ),
            "With L2 the boundary stands upright and the noisy image is ignored.": all(
                abs(path.with_decay - wanted.with_decay) <= ANGLE_BAND
                and path.noisy_margin[figures.strong] < 0
                for path in centred
            ),
            "Without L2 both losses near the boundary of largest margin.": all(
                abs(path.without_decay - figures.limit.centred) <= 0.03 for path in centred
            ),
            "Without L2 the angle is the article's.": all(
                abs(path.without_decay - wanted.without_decay) <= ANGLE_BAND for path in centred
            ),
            "An intercept takes over part of the tilt.": all(
                one.without_decay < other.without_decay for one, other in zip(free, centred, strict=True)
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


def geometry(x: Array, turns: list[float]) -> Geometry:
    """Return the projected and the mirror image of ``x`` ``(2,)`` for each angle, and by how much they
    miss."""
    units = [normal(turn) for turn in turns]
    onto, over = [projected(x, unit) for unit in units], [mirrored(x, unit) for unit in units]
    scores = [float(x @ unit) for unit in units]
    return Geometry(
        image=x.tolist(),
        turn=turns,
        projected=np.round(onto, 6).tolist(),
        mirror=np.round(over, 6).tolist(),
        distance=[round(float(np.linalg.norm(x - image)), 6) for image in over],
        projected_missed=max(abs(float(p @ u)) for p, u in zip(onto, units, strict=True)),
        score_missed=max(abs(float(m @ u) + s) for m, u, s in zip(over, units, scores, strict=True)),
    )


def hinge(x: Array, y: Array, lambdas: list[float], intercept: bool) -> list[tuple[Array, float]]:
    """Return w and b of least mean hinge loss + lambda ||w||^2 for each of ``lambdas``."""
    solutions = Machine(x, y, intercept).path(lambdas, tolerance=1e-8)
    return [(solution.weights, solution.bias) for solution in solutions]


def logistic(x: Array, y: Array, lambdas: list[float], intercept: bool) -> list[tuple[Array, float]]:
    """Return w and b of least mean softplus(-y s) + lambda ||w||^2, each begun at the one before."""
    rows = y[:, None] * np.column_stack([x, np.full(len(x), float(intercept))])
    at, solutions = np.zeros(3), []
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
        solutions.append((at[:2], float(at[2])))
    return solutions


def limit() -> Limit:
    """Return the angles of largest margin, in quarter turns.

    Through the origin the nearest image of a segment and the noisy one are equally far from the boundary:
    .2 cos t = .07 (sin t - cos t). With an intercept the boundary is halfway between the noisy image and the
    nearest one of the second class.
    """
    a, b = NOISY
    return Limit(
        centred=float(np.arctan2(NEAR + a, -b) * 2 / np.pi),
        free=float(np.arctan2(-b, NEAR - a) * 2 / np.pi),
    )


def _described(x: Array, y: Array, weights: Array, bias: float) -> Boundary:
    size = float(np.linalg.norm(weights))
    margins = y * (x @ weights + bias) / size
    return Boundary(
        turn=round(float(np.arctan2(weights[1], weights[0]) * 2 / np.pi), 6),
        norm=float(f"{size:.6g}"),
        shift=round(bias / size, 6),
        noisy_margin=round(float(margins[-1]), 6),
        d_adv=round(float(margins.mean()), 6),
        train_error=round(float((margins <= 0).mean()), 6),
    )
