"""Tanay and Griffin 2018, section 3: the path of `svm_path` for all 45 pairs of digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from attacks.settings import setting
from experiments.cache import Store
from experiments.core import JSON, Experiment, ExperimentCard
from experiments.datasets.digit_sets import MNIST, source
from experiments.tanay2018 import tilting_angle
from experiments.tanay2018.svm_path import ANGLE_BAND, ERROR_BAND, apart
from experiments.toolkit.intervals import median
from experiments.toolkit.packing import pack, unpack

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
class SVMPairs(Experiment):
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

    n: int = setting(
        3000, "Images per digit", "The first so many training images of each digit.", low=10, high=60_000
    )
    lambdas: int = setting(
        81, "Values of lambda", "How many, evenly from 10^2 down to 10^-6 on a log scale.", low=5, high=161
    )

    def depends(self) -> JSON:
        """Return where the digits come from."""
        return source(self.data)

    def pieces(self) -> list[str]:
        """Return the pairs, as "01" to "89"."""
        return [f"{first}{second}" for first, second in combinations(range(10), 2)]

    def piece(self, name: str, store: Store) -> JSON:
        """Follow the path of one pair."""
        pair = tilting_angle.pair(int(name[0]), int(name[1]), self.n, self.data)
        found = list(tilting_angle.path(pair, tilting_angle.log_lambdas(self.lambdas)))
        rows = [tilting_angle.measure(pair, each.weights, each.bias) for each in found]
        scalars = {key: [getattr(row, key) for row in rows] for key in STEPS}
        return {
            **{key: pack(values, STEPS[key]) for key, values in scalars.items()},
            "gap": float(np.max([each.gap for each in found])),
            "d_adv_missed": max(abs(r.d_adv - pair.axis[1] / 2 * np.cos(r.angle)) for r in rows),
            "centroid_distance": pair.axis[1],
            "n_per_class": len(pair.x) // 2,
            "n_test": len(pair.test_x),
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the scalars ``(45, lambdas)``, each pair's most accurate lambda, the article's beside it."""
        rows = [done[name] for name in self.pieces()]
        scalars = {key: np.stack([unpack(row[key]) for row in rows]) for key in STEPS}
        best = scalars["test_error"].argmin(1)
        ends = np.minimum(scalars["test_error"][:, 0], scalars["test_error"][:, -1])
        inner = scalars["test_error"].min(1) < ends
        at = {key: [float(v[i].round(6)) for v, i in zip(scalars[key], best, strict=True)] for key in STEPS}
        plain = ("gap", "centroid_distance", "d_adv_missed", "n_per_class", "n_test")
        return {
            "log_lambda": tilting_angle.log_lambdas(self.lambdas),
            "factor_255": tilting_angle.FACTOR_255,
            "pairs": self.pieces(),
            **{key: [float(f"{row[key]:.6g}") for row in rows] for key in plain},
            "scalars": {key: pack(values, STEPS[key]) for key, values in scalars.items()},
            "best": {"index": [int(i) for i in best], **at},
            "best_angle_degrees": median([float(np.degrees(v)) for v in at["angle"]]),
            "best_test_error": float(np.mean(at["test_error"])),
            "last_test_error": float(scalars["test_error"][:, -1].mean()),
            "first_test_error": float(scalars["test_error"][:, 0].mean()),
            "never_fitted": [
                p for p, v in zip(self.pieces(), scalars["train_error"], strict=True) if v.min() > 0
            ],
            "lowest_at_an_end": [p for p, v in zip(self.pieces(), inner, strict=True) if not v],
            "monotone": _monotone(scalars["angle"], scalars["d_adv"]),
            "published": self._published(scalars),
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what the article states of all pairs, and whether its figures are met."""
        robust, best = unpack(figures["scalars"]["d_adv"]), figures["best"]["index"]
        chosen = robust[np.arange(len(best)), best]
        said = {
            "Every classifier is the optimum, to a duality gap of one part in a thousand.": all(
                gap < 1e-3 for gap in figures["gap"]
            ),
            "d_adv is half the distance of the centroids times the cosine of the angle, for every pair.": max(
                figures["d_adv_missed"]
            )
            < 1e-9,
            "As lambda falls, the boundary only tilts further and d_adv only falls, for every pair.": all(
                figures["monotone"]
            ),
            "For every pair the test error is lowest at neither end of the path.": not figures[
                "lowest_at_an_end"
            ],
            "For every pair the most accurate classifier is not the most robust one.": bool(
                (chosen < robust.max(1) - 1e-3).all()
            ),
        }
        return said | _agreement(figures["published"])

    def _published(self, scalars: Mapping[str, JSON]) -> JSON:
        """Return, for each pair, how far it is from the article's; None for other data than the article's."""
        if source(self.data) != MNIST or self.n != 3000 or 80 % (self.lambdas - 1):
            return None
        found = {}
        for index, name in enumerate(self.pieces()):
            theirs = tilting_angle.published(int(name[0]), int(name[1]))
            if theirs is not None:
                own = {key: values[index] for key, values in scalars.items()}
                found[name] = apart(own, theirs, 80 // (self.lambdas - 1))
        return {"worst": found, "exceptions": [name for name, worst in found.items() if not _within(worst)]}


def _within(worst: Mapping[str, float]) -> bool:
    return worst["angle_degrees"] <= ANGLE_BAND and worst["test_error"] <= ERROR_BAND


def _monotone(angle: JSON, robust: JSON) -> list[bool]:
    """Return for each pair whether the angle never falls and d_adv never rises, to a thousandth."""
    steady = (np.diff(angle, axis=1) > -1e-3).all(1) & (np.diff(robust, axis=1) < 1.5e-3).all(1)
    return [bool(value) for value in steady]


def _agreement(published: JSON) -> dict[str, bool]:
    if published is None:
        return {}
    within = len(published["worst"]) - len(published["exceptions"])
    return {
        "On at least 40 pairs the angle stays within 2 degrees and the test error within half a point "
        "of the article's.": within >= ENOUGH
    }
