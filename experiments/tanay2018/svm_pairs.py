"""Tanay and Griffin 2018, section 3: the path of `svm_path` for all 45 pairs of digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from attacks.settings import setting
from engine.intervals import Estimate, median
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage
from experiments.datasets.digit_sets import MNIST, source
from experiments.methods.svm import Array
from experiments.tanay2018 import tilting_angle
from experiments.tanay2018.svm_path import ANGLE_BAND, ERROR_BAND, Differences, differences
from experiments.toolkit.packing import Packed, pack, unpack

STEPS = {
    "norm": 1e-3,
    "angle": 1e-4,
    "shift": 1e-3,
    "d_adv": 1e-3,
    "d_err": 1e-4,
    "train_error": 1e-5,
    "test_error": 1e-5,
}
"""To what each scalar is rounded."""
ENOUGH = 40


@dataclass(frozen=True)
class Scalars:
    """`tilting_angle.Measures` over lambda ``(lambdas,)``, or over pairs and lambda ``(pairs, lambdas)``."""

    norm: Packed
    angle: Packed
    shift: Packed
    d_adv: Packed
    d_err: Packed
    train_error: Packed
    test_error: Packed


@dataclass(frozen=True)
class PairPath:
    """The path of one pair: its scalars; the largest relative duality ``gap``; ``d_adv_missed``: by how much
    d_adv differs from half the ``centroid_distance`` times the cosine of the angle, at most; and how many
    images there are."""

    scalars: Scalars
    gap: float
    d_adv_missed: float
    centroid_distance: float
    n_per_class: int
    n_test: int


@dataclass(frozen=True)
class Best:
    """`tilting_angle.Measures` as lists by pair, at the lambda of least test error, number ``index``."""

    index: list[int]
    norm: list[float]
    angle: list[float]
    shift: list[float]
    d_adv: list[float]
    d_err: list[float]
    train_error: list[float]
    test_error: list[float]


@dataclass(frozen=True)
class Agreement:
    """By pair ("01" to "89"), the largest differences from the article's figures; ``exceptions``: the pairs
    beyond 2 degrees or half a point of test error."""

    worst: dict[str, Differences]
    exceptions: list[str]


@dataclass(frozen=True)
class SVMPairsFigures:
    """All paths: ``pairs`` "01" to "89", and lists in their order.

    ``log_lambda``: log10, falling; ``factor_255``: what lambda is multiplied by for pixels from 0 to 255;
    ``gap``, ``centroid_distance``, ``d_adv_missed``, ``n_per_class``, ``n_test``: see `PairPath`; ``scalars``
    ``(pairs, lambdas)``; ``best_angle_degrees``: the median of the most accurate angles; errors: means over
    the pairs, shares in [0, 1], of the most accurate and of the last and first lambda; ``never_fitted``:
    pairs with training errors at every lambda; ``lowest_at_an_end``: pairs whose test error is least at the
    first or last lambda; ``monotone``: whether the angle never falls and d_adv never rises; ``published``:
    None for other data than the article's.
    """

    log_lambda: list[float]
    factor_255: float
    pairs: list[str]
    gap: list[float]
    centroid_distance: list[float]
    d_adv_missed: list[float]
    n_per_class: list[float]
    n_test: list[float]
    scalars: Scalars
    best: Best
    best_angle_degrees: Estimate
    best_test_error: float
    last_test_error: float
    first_test_error: float
    never_fitted: list[str]
    lowest_at_an_end: list[str]
    monotone: list[bool]
    published: Agreement | None


@dataclass(frozen=True)
class PairStage(Stage):
    """The path of two digits."""

    answer: ClassVar[type] = PairPath

    first: int
    second: int

    @property
    def name(self) -> str:
        """Return both digits, as in "01"."""
        return f"{self.first}{self.second}"


@dataclass(frozen=True)
class SVMPairs(Experiment[PairPath, SVMPairsFigures]):
    """Every pair of digits, from strong to weak regularisation."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "svm_pairs",
        "Every pair of digits",
        "For which digits can a linear classifier be both accurate and robust?",
        "Tanay & Griffin 2018, A New Angle on L2 Regularization",
        "https://arxiv.org/abs/1806.11186",
        "Section 3, the data of the figures on SVM and MNIST",
        "MNIST, for the article's own figures",
    )

    result: ClassVar[type] = SVMPairsFigures
    version: ClassVar[int] = 2

    n: int = setting(
        3000, "Images per digit", "The first so many training images of each digit.", low=10, high=60_000
    )
    lambdas: int = setting(
        81, "Values of lambda", "How many, evenly from 10^2 down to 10^-6 on a log scale.", low=5, high=161
    )

    def depends(self) -> object:
        """Return where the digits come from."""
        return source(self.data)

    def stages(self) -> list[PairStage]:
        """Return the pairs, "01" to "89"."""
        return [PairStage(first, second) for first, second in combinations(range(10), 2)]

    def carry_out(self, stage: PairStage, store: Store) -> PairPath:
        """Follow the path of one pair."""
        pair = tilting_angle.pair(stage.first, stage.second, self.n, self.data)
        solutions = list(tilting_angle.path(pair, tilting_angle.log_lambdas(self.lambdas)))
        measured = [tilting_angle.measure(pair, solution.weights, solution.bias) for solution in solutions]
        missed = max(abs(m.d_adv - pair.axis[1] / 2 * np.cos(m.angle)) for m in measured)
        return PairPath(
            scalars=_packed({key: [getattr(measures, key) for measures in measured] for key in STEPS}),
            gap=float(np.max([solution.gap for solution in solutions])),
            d_adv_missed=float(missed),
            centroid_distance=pair.axis[1],
            n_per_class=len(pair.x) // 2,
            n_test=len(pair.test_x),
        )

    def summarise(self, answers: Sequence[PairPath]) -> SVMPairsFigures:
        """Return the scalars ``(45, lambdas)``, each pair's most accurate lambda, the article's beside it."""
        scalars = {
            key: np.stack([unpack(getattr(answer.scalars, key)) for answer in answers]) for key in STEPS
        }
        errors, pairs, best = scalars["test_error"], [stage.name for stage in self.stages()], _best(scalars)
        inner = errors.min(1) < np.minimum(errors[:, 0], errors[:, -1])
        return SVMPairsFigures(
            log_lambda=tilting_angle.log_lambdas(self.lambdas),
            factor_255=tilting_angle.FACTOR_255,
            pairs=pairs,
            gap=[_rounded(answer.gap) for answer in answers],
            centroid_distance=[_rounded(answer.centroid_distance) for answer in answers],
            d_adv_missed=[_rounded(answer.d_adv_missed) for answer in answers],
            n_per_class=[_rounded(answer.n_per_class) for answer in answers],
            n_test=[_rounded(answer.n_test) for answer in answers],
            scalars=_packed(scalars),
            best=best,
            best_angle_degrees=median([float(np.degrees(angle)) for angle in best.angle]),
            best_test_error=float(np.mean(best.test_error)),
            last_test_error=float(errors[:, -1].mean()),
            first_test_error=float(errors[:, 0].mean()),
            never_fitted=[p for p, v in zip(pairs, scalars["train_error"], strict=True) if v.min() > 0],
            lowest_at_an_end=[p for p, within in zip(pairs, inner, strict=True) if not within],
            monotone=_monotone(scalars["angle"], scalars["d_adv"]),
            published=self._published(scalars),
        )

    def claims(self, figures: SVMPairsFigures) -> dict[str, bool]:
        """Return what the article states of all pairs, and whether its figures are met."""
        robust, best = unpack(figures.scalars.d_adv), figures.best.index
        chosen = robust[np.arange(len(best)), best]
        claims = {
            "Every classifier is the optimum, to a duality gap of one part in a thousand.": all(
                gap < 1e-3 for gap in figures.gap
            ),
            "d_adv is half the distance of the centroids times the cosine of the angle, for every pair.": max(
                figures.d_adv_missed
            )
            < 1e-9,
            "As lambda falls, the boundary only tilts further and d_adv only falls, for every pair.": all(
                figures.monotone
            ),
            "For every pair the test error is lowest at neither end of the path.": (
                not figures.lowest_at_an_end
            ),
            "For every pair the most accurate classifier is not the most robust one.": bool(
                (chosen < robust.max(1) - 1e-3).all()
            ),
        }
        return claims | _agreement(figures.published)

    def _published(self, scalars: Mapping[str, Array]) -> Agreement | None:
        """Return, for each pair, how far it is from the article's; None for other data than the article's."""
        if source(self.data) != MNIST or self.n != 3000 or 80 % (self.lambdas - 1):
            return None
        worst = {}
        for index, stage in enumerate(self.stages()):
            theirs = tilting_angle.published(stage.first, stage.second)
            if theirs is not None:
                own = {key: values[index] for key, values in scalars.items()}
                worst[stage.name] = differences(own, theirs, 80 // (self.lambdas - 1))
        return Agreement(worst, [name for name, apart in worst.items() if not _within(apart)])


def _packed(scalars: Mapping[str, ArrayLike]) -> Scalars:
    return Scalars(**{key: pack(values, STEPS[key]) for key, values in scalars.items()})


def _best(scalars: Mapping[str, Array]) -> Best:
    """Return the scalars ``(pairs, lambdas)`` of each pair's most accurate lambda."""
    best = scalars["test_error"].argmin(1)
    at = {key: [float(v[i].round(6)) for v, i in zip(scalars[key], best, strict=True)] for key in STEPS}
    return Best(index=[int(i) for i in best], **at)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _within(worst: Differences) -> bool:
    return worst.angle_degrees <= ANGLE_BAND and worst.test_error <= ERROR_BAND


def _monotone(angle: Array, robust: Array) -> list[bool]:
    """Return for each pair whether the angle never falls and d_adv never rises, to a thousandth."""
    tilts, falls = (np.diff(angle, axis=1) > -1e-3).all(1), (np.diff(robust, axis=1) < 1.5e-3).all(1)
    steady: list[bool] = np.logical_and(tilts, falls).tolist()
    return steady


def _agreement(published: Agreement | None) -> dict[str, bool]:
    if published is None:
        return {}
    within = len(published.worst) - len(published.exceptions)
    return {
        "On at least 40 pairs the angle stays within 2 degrees and the test error within half a point "
        "of the article's.": within >= ENOUGH
    }
