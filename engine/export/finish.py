"""The finish on the grid of 8 bits: a search in whole grey levels, where every query is what would be saved.

Rounding takes most of a fine perturbation away, and resizing another part. Both searches begin at the
rounded perturbation. `least_change` keeps the change small in l2: it goes again and again to the least change
in whole levels that, by the slopes seen so far, gives another class the lead. `within` takes sign steps
inside a linf budget, as BIM does (Kurakin et al. 2016, https://arxiv.org/abs/1607.02533), until the network
is sure enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective
from engine.export.view import Levels, View
from engine.run import Floats

Ask = Callable[[Tensor, Objective | None], Evaluation]
"""Answers a query about pictures ``(n, c, h, w)`` in [0, 1]."""
ENOUGH = 0.02
"""A margin of the logits above which another machine's arithmetic gives the same class."""
QUERIES = 40
STEP = 0.4
"""Grey levels of a sign step."""
ROUNDS = ((5, 4), (2, 8), (1, 60))
"""How many classes are led to, the nearest of those before, and how many steps each: the class that an attack
ended in is often not the one that is nearest in whole levels."""
MEMORY = 0.6
"""Share of the slopes seen before that a step goes by; in the last round it rises to 1."""
SURPLUS = 1.1
"""What a step aims at, as a multiple of `ENOUGH`."""
LEVELS = 255.0
"""The greatest length of a first step: levels of the steepest value."""
DOUBLED = 24
"""How often the length of a step is doubled at most."""
HALVED = 24
"""How often the span of lengths in which the right one is, is halved."""


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
    the value of what was asked for, of the logits or their log-probability, with its slope ``(c, h, w)`` in
    grey levels."""

    change: Levels
    margin: float
    probability: float
    value: float
    slope: Floats
    reached: bool

    @property
    def size(self) -> float:
        """Return the change's l2 in grey levels."""
        return _size(self.change)


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
    return Tried(change, margin, probability, float(objective(answer.logits)[0]), slope, reached)


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


class Path:
    """Steps to the least change that lets ``objective``, the lead of a class, reach `ENOUGH`.

    ``change`` ``(c, h, w)``: what is asked about next; ``size``: its l2 in grey levels,
    0 before the first step.
    """

    def __init__(self, goal: Goal, room: Room, change: Levels, objective: Objective) -> None:
        self._goal, self._room, self._objective = goal, room, objective
        self.change, self.size = change, 0.0
        self._slope: Floats | None = None

    def step(self, memory: float) -> Tried:
        """Ask about the change and choose the next one; ``memory``: share of the slopes seen before."""
        tried = ask(self._goal, self.change, self._objective)
        before = tried.slope if self._slope is None else self._slope
        self._slope = slope = memory * before + (1 - memory) * tried.slope
        gained = float(np.vdot(slope, self.change.astype(np.float32)))
        self.change = least_with(slope, self._room, gained + SURPLUS * ENOUGH - tried.value)
        self.size = _size(self.change)
        return tried


def least_change(goal: Goal, start: Floats, room: Room) -> Finished:
    """Return the smallest picture by l2 that reaches the goal, else the surest, that steps to the least
    change inside ``room`` come to from ``start`` ``(c, h, w)``, in grey levels."""
    change = rounded(start, room)
    paths = [Path(goal, room, change, objective) for objective in _leads(goal, change)]
    queries, best = int(len(paths) > 1), None
    for count, steps in ROUNDS if len(paths) > 1 else ROUNDS[-1:]:
        paths = sorted(paths, key=lambda path: path.size)[:count]
        queries += len(paths) * steps
        for path, step in product(paths, range(steps)):
            best = _better(path.step(_memory(step / steps if count == 1 else 0.0)), best)
    assert best is not None
    return Finished(best.change, best.reached, queries, best.probability)


def least_with(slope: Floats, room: Room, gain: float) -> Levels:
    """Return the least change ``(c, h, w)`` by l2 in whole levels inside ``room`` that gains so much where
    each level of a value gains its ``slope``; near to the greatest gain there is where that is less.

    For a number ``t``, no change gains more for its l2 than ``rint(t * slope)``: the raise from ``m`` to
    ``m + 1`` costs ``2m + 1`` in the square.
    """
    steepest = float(np.abs(slope).max())
    if gain <= 0 or not steepest:
        return np.zeros(slope.shape, np.int16)
    flat, (low, high) = slope.ravel() / np.float32(steepest), (limit.ravel() for limit in room)
    gain = gain / steepest
    short, long = 0.0, min(gain / float(np.vdot(flat, flat)), LEVELS)
    for _ in range(DOUBLED):
        (moving,) = np.nonzero(np.abs(flat) * np.float32(long) > np.float32(0.5))
        part = flat[moving], low[moving], high[moving]
        if _gain(long, *part) >= gain:
            break
        short, long = long, 2 * long
    for _ in range(HALVED):
        middle = (short + long) / 2
        short, long = (short, middle) if _gain(middle, *part) >= gain else (middle, long)
    change = np.zeros(flat.shape, np.int16)
    change[moving] = _levels(long, *part)
    return change.reshape(slope.shape)


def _levels(length: float, slope: Floats, low: Levels, high: Levels) -> Floats:
    levels: Floats = np.clip(np.rint(np.float32(length) * slope), low, high)
    return levels


def _gain(length: float, slope: Floats, low: Levels, high: Levels) -> float:
    return float(np.vdot(slope, _levels(length, slope, low, high)))


def _leads(goal: Goal, change: Levels) -> Sequence[Objective]:
    """Return the leads that would do: that of the class to reach, or of the likeliest others, the likeliest
    first, over the one to leave."""
    if goal.criterion.targeted:
        return [goal.criterion.margin]
    (own,) = goal.criterion.label.tolist()
    order = goal.ask(goal.view.see(change), None).logits[0].argsort(descending=True).tolist()
    return [partial(_lead, own, rival) for rival in order if rival != own][: ROUNDS[0][0]]


def _lead(own: int, rival: int, logits: Tensor) -> Tensor:
    return logits[:, rival] - logits[:, own]


def _memory(progress: float) -> float:
    """Return the share of the slopes seen before; ``progress`` in [0, 1) of the last round."""
    return 1 - (1 - MEMORY) * (1 - progress) ** 2


def _size(change: Levels) -> float:
    """Return a change's l2 in grey levels."""
    return float(np.linalg.norm(change.ravel().astype(np.float32)))


def _better(tried: Tried, best: Tried | None) -> Tried:
    """Return the smaller of two that reach the goal, the surer where neither does."""
    if best is None or tried.reached != best.reached:
        return tried if best is None or tried.reached else best
    better = tried.size < best.size if best.reached else tried.margin > best.margin
    return tried if better else best
