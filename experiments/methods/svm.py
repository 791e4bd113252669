"""Linear support vector machines along a path of lambda: mean hinge loss + lambda ||w||^2, solved exactly.

The augmented Lagrangian method on the multipliers, with semismooth Newton steps inside: only the images
whose multiplier is strictly between its bounds enter the linear system, so a step costs about as much as
reading the images near the margin. Each lambda begins where the last one ended, and images far from the
margin sit out until the duality gap says that they matter.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import ThreadpoolController

Array = NDArray[np.float64]

FIRST_PENALTY, PENALTY_GROWTH = 3.0, 3.0
RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Solution:
    """``weights`` ``(d,)`` and ``bias`` of s(x) = w.x + b; ``multipliers`` ``(n,)`` in [0, 1], 1 for images
    inside the margin; ``gap``: (primal - dual) / primal objective, which bounds how far from the best it is.
    """

    weights: Array
    bias: float
    multipliers: Array
    gap: float


_solving = threading.RLock()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold a lock, and the linear algebra of NumPy and SciPy to one thread: in thousands of small products
    threads would wait for each other, on a busy machine for ten times the work.

    The limit is the whole process's, and two visitors may share a machine and its cache: so one solves at a
    time, lambda by lambda. The lock is reentrant.
    """
    with _solving, _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


class Machine:
    """The problem: images ``x`` ``(n, d)``, labels ``y`` ``(n,)`` of -1 and +1.

    The intercept is not regularised; without ``intercept`` it is 0. Where it is not determined (every image
    inside the margin, say) it is the middle of the interval of optimal ones, as in LIBSVM.
    """

    def __init__(self, x: Array, y: Array, intercept: bool = True) -> None:
        self.rows = np.ascontiguousarray(y[:, None] * x)
        self.labels = y.astype(float)
        self.side = self.labels if intercept else np.zeros(len(y))
        self.gram = Gram(self.rows)

    def path(
        self, lambdas: Sequence[float], start: Solution | None = None, tolerance: float = 1e-4
    ) -> Iterator[Solution]:
        """Yield the solution for each of ``lambdas`` (falling, above 0), to a gap below ``tolerance``.

        ``start``: the solution of a larger lambda, from which the first one sets out.
        """
        solution, before = start, None
        band = np.inf if start is None else self._reach(start)
        for value in lambdas:
            with single_threaded():
                previous = solution or self._origin()
                solution = self.closed_form(value) or self._solve(value, previous, band, tolerance)
            margins = self.margins(solution)
            if before is not None:
                band = max(0.2, float(np.quantile(np.abs(margins - before), 0.95)))
            before = margins
            yield solution

    def margins(self, of: Solution) -> Array:
        """Return y s(x), ``(n,)``."""
        values: Array = self.rows @ of.weights + self.side * of.bias
        return values

    def closed_form(self, value: float) -> Solution | None:
        """Return w = mean(y x) / (2 lambda), which is (j - i) / (4 lambda) for balanced classes with the
        centroids i and j, where it leaves every image inside the margin; else None.
        """
        ones, weights = np.ones(len(self.rows)), self.rows.mean(0) / (2 * value)
        if self.side.sum():
            return None
        low, high = self._intercepts(weights, ones)
        if low > high:
            return None
        return self._certified(value, weights, (low + high) / 2, ones)

    def _reach(self, start: Solution) -> float:
        """Return how far from the margin the nearest third of the images is."""
        return max(0.5, float(np.quantile(np.abs(1 - self.margins(start)), 1 / 3)))

    def _origin(self) -> Solution:
        return Solution(np.zeros(self.rows.shape[1]), 0.0, np.ones(len(self.rows)), np.inf)

    def _intercepts(self, weights: Array, multipliers: Array) -> tuple[float, float]:
        """Return the interval of intercepts that agree with multipliers of 0 and 1."""
        product = self.rows @ weights
        if not self.side.any():
            return (0.0, 0.0) if (product < 1).all() else (1.0, 0.0)
        kink, active = self.labels * (1 - product), multipliers > 0.5
        above = active == (self.labels < 0)
        return float(kink[above].max(initial=-np.inf)), float(kink[~above].min(initial=np.inf))

    def _certified(self, value: float, weights: Array, bias: float, multipliers: Array) -> Solution:
        """Return the solution with its gap; the multipliers are first made to balance the classes."""
        inner = (multipliers > 1e-9) & (multipliers < 1 - 1e-9)
        if inner.any():
            excess = self.side @ multipliers / inner.sum()
            multipliers = np.where(inner, np.clip(multipliers - self.side * excess, 0, 1), multipliers)
        elif self.side.any():
            low, high = self._intercepts(weights, multipliers)
            bias = (low + high) / 2 if low <= high else bias
        scale = 2 * len(self.rows) * value
        hinge = np.maximum(1 - self.rows @ weights - self.side * bias, 0).sum()
        primal = scale / 2 * (weights @ weights) + hinge
        free = multipliers @ self.rows
        # What is left of the balance could raise the dual by as much as an optimal intercept times it.
        left = (1 + abs(bias)) * abs(self.side @ multipliers)
        dual = multipliers.sum() - free @ free / (2 * scale) - left
        return Solution(weights, float(bias), multipliers, float((primal - dual) / primal))

    def _solve(self, value: float, start: Solution, band: float, tolerance: float) -> Solution:
        margins = self.margins(start)
        fixed = np.where(margins < 1, 1.0, 0.0)
        best = self._certified(value, start.weights, start.bias, start.multipliers)
        near = np.abs(1 - margins) < band
        for _ in range(40):
            held = np.where(near, 0.0, fixed)
            part = Part(self, value, np.flatnonzero(near), held @ self.rows, float(held @ self.side))
            weights, bias, held[near] = part.minimise(
                best.weights, best.bias, best.multipliers[near], tolerance / 2
            )
            candidate = self._certified(value, weights, bias, held)
            # With too few images near, the part's optimum may lie far off: then set out from before it.
            best = candidate if candidate.gap < best.gap else best
            if best.gap < tolerance:
                break
            band *= 2
            near |= (np.abs(1 - margins) < band) | ((self.margins(candidate) < 1) != (fixed > 0))
        return best


class Gram:
    """A cache of inner products of images: one Newton step asks for much the same ones as the last.

    ``rows`` ``(n, d)``; at most ``room`` images are cached: when others come, all are dropped.
    """

    def __init__(self, rows: Array, room: int = 2048) -> None:
        self.rows, self.room = rows, min(room, len(rows))
        self.place, self.count = np.full(len(rows), -1), 0
        self.cached = np.empty((self.room, rows.shape[1]))
        self.products = np.empty((self.room, self.room))

    def among(self, which: NDArray[np.intp]) -> Array:
        """Return the products ``(k, k)`` of the images ``which`` ``(k,)``, to be changed at will."""
        if len(which) > self.room:
            return self.rows[which] @ self.rows[which].T
        new = which[self.place[which] < 0]
        if self.count + len(new) > self.room:
            self.place[:], self.count, new = -1, 0, which
        if len(new):
            self._cache(new)
        at = self.place[which]
        products: Array = self.products.take(at[:, None] * self.room + at)  # much faster than by two indices
        return products

    def _cache(self, new: NDArray[np.intp]) -> None:
        old, self.count = self.count, self.count + len(new)
        self.place[new] = np.arange(old, self.count)
        self.cached[old : self.count] = self.rows[new]
        cross = self.cached[old : self.count] @ self.cached[: self.count].T
        self.products[old : self.count, : self.count] = cross
        self.products[:old, old : self.count] = cross[:, :old].T


class Part:
    """The problem over the images ``near`` the margin, when the multipliers of all others are fixed and their
    weighted sums are ``pull`` ``(d,)`` and ``side``.
    """

    def __init__(self, whole: Machine, value: float, near: NDArray[np.intp], pull: Array, side: float):
        self.rows, self.side = whole.rows[near], whole.side[near]
        self.gram, self.near = whole.gram, near
        self.cost = 1 / (2 * len(whole.rows) * value)
        self.pull, self.other = pull, side

    def minimise(
        self, weights: Array, bias: float, multipliers: Array, tolerance: float
    ) -> tuple[Array, float, Array]:
        """Return weights, bias and multipliers whose complementarity is within ``tolerance`` of the loss."""
        penalty = FIRST_PENALTY
        for _ in range(30):
            weights, bias, multipliers = self._newton(weights, bias, multipliers, penalty)
            slack = 1 - self.rows @ weights - self.side * bias
            hinge = np.maximum(slack, 0)
            loss = weights @ weights / (2 * self.cost) + hinge.sum()
            if np.abs(hinge - multipliers * slack).sum() <= tolerance * loss:
                break
            penalty *= PENALTY_GROWTH
        return weights, bias, multipliers

    def _newton(
        self, weights: Array, bias: float, multipliers: Array, penalty: float
    ) -> tuple[Array, float, Array]:
        """Minimise the augmented Lagrangian: its gradient is piecewise linear in (w, b)."""
        sigma, clipped = penalty / self.cost, multipliers
        margins, pulled = self.rows @ weights + self.side * bias, multipliers @ self.rows
        for _ in range(60):
            raw, before = multipliers + sigma * (1 - margins), clipped
            clipped = np.clip(raw, 0, 1)
            pulled = self._pulled(pulled, before, clipped)
            down = weights - self.cost * (self.pull + pulled)
            tilt = -self.cost * (self.other + float(clipped @ self.side))
            small = 1e-5 * np.linalg.norm(weights)
            if np.linalg.norm(down) <= small and abs(tilt) <= 1e-8 * self.cost * len(raw):
                break
            turn, shift = self._direction(raw, down, tilt, penalty)
            change = self.rows @ turn + self.side * shift
            straight = weights @ turn - self.cost * (self.pull @ turn + self.other * shift)
            step = _line_search(
                _slope(raw, sigma * change, self.cost * change, float(straight), float(turn @ turn))
            )
            weights, bias, margins = weights + step * turn, bias + step * shift, margins + step * change
        return weights, bias, clipped

    def _pulled(self, pulled: Array, before: Array, now: Array) -> Array:
        """Return ``now @ rows``, from ``before @ rows``: where few multipliers moved, only their images are
        read."""
        moved = np.flatnonzero(now != before)
        if 4 * len(moved) > len(now):
            return now @ self.rows
        return pulled + (now - before)[moved] @ self.rows[moved]

    def _direction(self, raw: Array, down: Array, tilt: float, penalty: float) -> tuple[Array, float]:
        """Return the Newton direction in (w, b), by way of the system of the images between the bounds."""
        between = np.flatnonzero((raw > 0) & (raw < 1))
        if not len(between):  # no curvature but the regulariser's: first the intercept, by itself
            alone = abs(tilt) > 1e-8 * self.cost * len(raw)
            return (np.zeros_like(down), -math.copysign(0.01, tilt)) if alone else (-down, 0.0)
        rows, side = self.rows[between], self.side[between]
        system = self.gram.among(self.near[between])
        system[np.diag_indices(len(between))] += 1 / penalty
        factor = cho_factor(system, overwrite_a=True, check_finite=False)
        plain, bent = cho_solve(factor, np.column_stack([-(rows @ down), side]), check_finite=False).T
        shift = float((-tilt - side @ plain) / (side @ bent + RIDGE))
        return -down - (plain + shift * bent) @ rows, shift


def _slope(
    raw: Array, change: Array, weight: Array, straight: float, curve: float
) -> Callable[[float], float]:
    """Return the derivative of the augmented Lagrangian along a direction, at a step of s."""

    def at(step: float) -> float:
        return straight + curve * step - float(np.clip(raw - step * change, 0, 1) @ weight)

    return at


def _line_search(slope: Callable[[float], float]) -> float:
    """Return a step at which a rising ``slope`` that is negative at 0 has nearly vanished."""
    low, high = 0.0, 1.0
    begun, below, above = slope(low), slope(low), slope(high)
    if abs(above) <= 1e-3 * abs(begun):
        return high
    while above < 0 and high < 1e6:
        low, below, high = high, above, 2 * high
        above = slope(high)
    step = high
    for trial in range(40):
        halve = trial % 3 == 2 or above <= below
        step = (low + high) / 2 if halve else low - below * (high - low) / (above - below)
        now = slope(step)
        if abs(now) <= 1e-3 * abs(begun):
            break
        if now < 0:
            low, below = step, now
        else:
            high, above = step, now
    return step
