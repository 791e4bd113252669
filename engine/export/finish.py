"""The finish on the grid of 8 bits: a search in whole grey levels, where every query is what would be saved.

Rounding takes most of a fine perturbation away, and resizing another part. Both searches begin at the
rounded perturbation. `least_change` keeps the change small in l2: raising a value from ``m`` to ``m + 1``
levels costs ``2m + 1`` and gains its slope, so the raises of greatest gain over cost are taken until the
network is fooled, and those of least use are taken back from then on. `within` takes sign steps inside a linf
budget, as BIM does (Kurakin et al. 2016, https://arxiv.org/abs/1607.02533), until the network is sure enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective
from engine.export.view import Levels, View
from engine.run import Floats

Ask = Callable[[Tensor, Objective | None], Evaluation]
"""Answers a query about pictures ``(n, c, h, w)`` in [0, 1]."""
Indices = npt.NDArray[np.intp]
ENOUGH = 0.02
"""A margin of the logits above which another machine's arithmetic gives the same class."""
QUERIES = 40
STEP = 0.4
"""Grey levels of a sign step."""
MEMORY = 0.8
"""Share of the slopes seen before that the next step goes by."""
LEAST_COST = np.float32(0.25)
"""What taking a level back costs when raises are compared: it costs less than nothing."""
SWAPPED = 0.1
"""Share of the raises that are exchanged for better ones at a time, at first."""


@dataclass(frozen=True)
class Goal:
    """What a picture is to reach: the ``criterion``, with at least ``probability``, in [0, 1), of success;
    ``ask`` answers queries."""

    ask: Ask
    view: View
    criterion: Criterion
    probability: float = 0.0


@dataclass(frozen=True)
class Tried:
    """A change in whole grey levels ``(c, h, w)``; its margin of the logits, its probability of success, and
    the slope ``(c, h, w)`` of what was asked for, the margin or the log-probability, in grey levels."""

    change: Levels
    margin: float
    probability: float
    slope: Floats
    reached: bool

    @property
    def size(self) -> float:
        """Return the change's l2 in grey levels."""
        return float(np.linalg.norm(self.change.ravel().astype(np.float32)))


@dataclass(frozen=True)
class Finished:
    """The best change ``(c, h, w)`` that a finish came by, its probability of success, and how many queries
    it asked."""

    change: Levels
    reached: bool
    queries: int
    probability: float


Room = tuple[Levels, Levels]
"""The least and the greatest change ``(c, h, w)`` of each value."""


def rounded(start: Floats, room: Room) -> Levels:
    """Return ``start`` ``(c, h, w)``, in grey levels, rounded and kept to its room."""
    return np.asarray(np.clip(np.rint(start), *room), np.int16)


def ask(goal: Goal, change: Levels, objective: Objective) -> Tried:
    """Return what the network says of the photo with a change."""
    answer = goal.ask(goal.view.see(change), objective)
    margin = float(goal.criterion.margin(answer.logits)[0])
    probability = float(goal.criterion.success_probability(answer.logits)[0])
    slope = goal.view.pull(answer.gradient[0].numpy())
    reached = margin >= ENOUGH and probability >= goal.probability
    return Tried(change, margin, probability, slope, reached)


def within(goal: Goal, start: Floats | Levels, room: Room, queries: int = QUERIES) -> Finished:
    """Return the surest picture that sign steps inside ``room`` come to from ``start`` ``(c, h, w)``, in grey
    levels; they end with the first that reaches the goal."""
    change, best = np.clip(start, *room).astype(np.float32), None
    for query in range(1, queries + 1):
        tried = ask(goal, rounded(change, room), goal.criterion.loss)
        best = tried if best is None or tried.margin > best.margin else best
        if tried.reached:
            return Finished(tried.change, True, query, tried.probability)
        change = np.clip(change - np.float32(STEP) * np.sign(tried.slope), *room)
    assert best is not None
    return Finished(best.change, best.margin >= ENOUGH, queries, best.probability)


def least_change(goal: Goal, start: Floats, room: Room, queries: int = QUERIES) -> Finished:
    """Return the smallest picture by l2 that reaches the goal, else the surest, that exchanging raises by a
    level inside ``room`` comes to from ``start`` ``(c, h, w)``, in grey levels."""
    best, size = None, float(np.square(start, dtype=np.float64).sum())
    change, slope = rounded(start, room), None
    for query in range(queries):
        tried = ask(goal, change, goal.criterion.margin)
        best = _better(tried, best)
        slope = tried.slope if slope is None else MEMORY * slope + (1 - MEMORY) * tried.slope
        moved = _exchanged(goal, tried, slope, room, size, 1 - query / queries)
        change = np.asarray(np.clip(moved, *room), np.int16)
    assert best is not None
    return Finished(best.change, best.reached, queries, best.probability)


def _better(tried: Tried, best: Tried | None) -> Tried:
    """Return the smaller of two that reach the goal, the surer where neither does."""
    if best is None or tried.reached != best.reached:
        return tried if best is None or tried.reached else best
    better = tried.size < best.size if best.reached else tried.margin > best.margin
    return tried if better else best


def _exchanged(goal: Goal, tried: Tried, slope: Floats, room: Room, size: float, pace: float) -> Levels:
    """Return the change after raises of great gain over cost are taken, or those of little are taken back, as
    many as the margin asks for; ``pace`` falls from 1 to 0, ``size``: the square of the first l2."""
    change = tried.change.ravel().copy()
    taken = np.square(change, dtype=np.int64).sum()
    swapped = int(SWAPPED * pace * taken) + 1
    if tried.reached:
        order, losses = _least_useful(change, slope.ravel())
        spare = int(np.searchsorted(np.cumsum(losses), 0.7 * tried.margin))
        back = order[: min(spare, int(0.15 * taken)) + swapped]
        change[back] -= np.sign(change[back])
        swapped = swapped // 2 + 1
    lacking = 0.0 if tried.reached else 1.5 * max(ENOUGH - tried.margin, 0.1)
    order, gains = _most_useful(change, slope.ravel(), room, int(0.3 * max(taken, size)) + swapped)
    more = int(np.searchsorted(np.cumsum(gains), lacking)) if lacking else 0
    raised = order[: more + swapped]
    change[raised] += np.sign(slope.ravel()[raised]).astype(np.int16)
    return change.reshape(tried.change.shape)


def _least_useful(change: Levels, slope: Floats) -> tuple[Indices, Floats]:
    """Return the changed values, that whose last level is of least use for its size first, and the use."""
    (changed,) = np.nonzero(change)
    use = slope[changed] * np.sign(change[changed])
    order = np.argsort(use / (2 * np.abs(change[changed]) - 1))
    return changed[order], np.maximum(use[order], 0)


def _most_useful(change: Levels, slope: Floats, room: Room, count: int) -> tuple[Indices, Floats]:
    """Return the ``count`` values, or fewer, whose next level gains most for what it costs, and the gain."""
    (sloping,) = np.nonzero(slope)
    slopes, now = slope[sloping], change[sloping]
    toward = np.sign(slopes).astype(np.int16)
    then = now + toward
    free = (then <= room[1].ravel()[sloping]) & (then >= room[0].ravel()[sloping])
    gains = np.abs(slopes)
    rate = gains * free / np.maximum(2 * now * toward + np.int16(1), LEAST_COST)
    count = min(count, int(np.count_nonzero(rate)))
    if not count:
        return np.empty(0, np.intp), np.empty(0, np.float32)
    top = np.argpartition(rate, -count)[-count:]
    order = top[np.argsort(-rate[top])]
    return sloping[order], gains[order]
