"""A function and its straight line: how far ``L(x + delta) = L(x) + delta . grad`` may be believed.

Goodfellow et al., Explaining and Harnessing Adversarial Examples (https://arxiv.org/abs/1412.6572), and the
article of codewords.recurse.com (issue five, "Why do neural networks think a panda is a vulture?"), which
takes the gradient of a probability, not that of a loss. Steps are in grey levels: 1/255 of the pictures'
scale. Nothing is cut to [0, 1], as there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from attacks.contract import Evaluation, Objective
from engine.run import Floats
from engine.work import Evaluates

LEVEL = 1 / 255
EXAMPLE_GRADIENT = (-0.01, -0.01, 0.01, 0.02, 0.03)
EXAMPLE_STEP = (-1, -1, 1, 1, 1)
PUZZLE = 0.9957
"""The article's probability of the panda, whose negative logarithm it gives as .0018."""
SHARE = 0.2
REACH, POINTS = 2.0, 33


class Ask(Protocol):
    """A network that answers one query about pictures ``(n, c, h, w)``."""

    def __call__(self, x: Tensor, objective: Objective | None = None) -> Evaluation:
        """Return logits and, for an objective, its values and gradient."""


class Slope(NamedTuple):
    """The probability of one class at a picture, and its gradient ``(c, h, w)`` per grey level."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody wants of a slope
    probability: float
    grad: Floats

    @property
    def steepness(self) -> float:
        """Return delta . grad for delta = sign(grad), one grey level: the sum of all sizes."""
        return float(np.abs(self.grad).sum())

    @property
    def percentile(self) -> float:
        """Return the 98th percentile of the gradient's sizes: the article's measure for showing it."""
        return float(np.quantile(np.abs(self.grad), 0.98))


class Line(NamedTuple):
    """A quantity at each of ``levels`` along sign(grad): as the straight line has it, and as it is."""

    levels: list[float]
    predicted: list[float]
    actual: list[float]

    def parts(self) -> tuple[float | None, float | None]:
        """Return how far back and how far on, in grey levels, the line is first off by more than `SHARE` of
        the change that it predicts; None where it never is."""
        start = self.predicted[self.levels.index(0.0)]
        rows = list(zip(self.levels, self.predicted, self.actual, strict=True))
        off = [at for at, line, true in rows if abs(true - line) > SHARE * abs(line - start)]
        back, on = [at for at in off if at < 0], [at for at in off if at > 0]
        return max(back, default=None), min(on, default=None)


@dataclass(frozen=True, eq=False)
class Following:
    """Follows the probability of class ``index`` and its straight line from ``x`` ``(c, h, w)``, what
    ``model`` sees of a picture. A piece of `engine.work`."""

    model: str
    x: Floats
    index: int

    def carry_out(self, engine: Evaluates) -> Iterator[tuple[Slope, dict[str, Line]]]:
        """Yield the slope and the lines."""
        ask = partial(engine.evaluate, self.model)
        at = slope(ask, self.x, self.index)
        yield at, lines(ask, self.x, at)


def slope(ask: Ask, x: Floats, index: int) -> Slope:
    """Return the probability of class ``index`` at ``x`` ``(c, h, w)`` and its gradient."""
    evaluation = ask(torch.from_numpy(x)[None], lambda logits: logits.softmax(1)[:, index])
    gradient = evaluation.gradient[0].numpy() * np.float32(LEVEL)
    return Slope(index, float(evaluation.logits[0].softmax(0)[index]), gradient)


def levels(reach: float = REACH, points: int = POINTS) -> list[float]:
    """Return an odd number of steps from ``-reach`` to ``reach``, 0 among them, closest there."""
    even = np.linspace(-1, 1, points)
    return [round(v, 6) + 0.0 for v in (reach * np.sign(even) * np.abs(even) ** 1.5).tolist()]


def moved(x: Floats, direction: Floats, sizes: Sequence[float]) -> Floats:
    """Return ``x`` ``(c, h, w)`` moved along ``direction`` by each of ``sizes`` grey levels."""
    return x + np.array(sizes, np.float32).reshape(-1, 1, 1, 1) * np.float32(LEVEL) * direction


def lines(ask: Ask, x: Floats, at: Slope) -> dict[str, Line]:
    """Return the lines of the probability and of the loss -ln p along the sign of the gradient."""
    steps = levels()
    logits = ask(torch.from_numpy(moved(x, np.sign(at.grad), steps))).logits.double()
    log_p = logits.log_softmax(1)[:, at.index]
    start = float(log_p[steps.index(0.0)])
    rate = at.steepness / max(math.exp(start), 1e-30)
    return {
        "probability": Line(steps, [math.exp(start) + at.steepness * s for s in steps], log_p.exp().tolist()),
        "loss": Line(steps, [-start - rate * s for s in steps], (-log_p).tolist()),
    }


def coin(shape: tuple[int, ...], seed: int = 0) -> Floats:
    """Return signs, +1 or -1, thrown by a coin."""
    thrown = np.random.default_rng(seed).integers(2, size=shape)
    return (2 * thrown - 1).astype(np.float32)


def product(delta: Sequence[float], grad: Sequence[float]) -> float:
    """Return delta . grad."""
    return sum(d * g for d, g in zip(delta, grad, strict=True))


def best_signs(grad: Sequence[float]) -> tuple[tuple[int, ...], float]:
    """Return, of all deltas that move each value by 1 up or down, the one with the largest delta . grad, and
    that product; all are tried."""
    deltas = itertools.product((-1, 1), repeat=len(grad))
    best = max(deltas, key=lambda delta: product(delta, grad))
    return best, product(best, grad)
