"""What a run costs before it begins: seconds of the device's time, from what batches of its model took here.

costs.observe("lenet", rows=8, gradients=True, seconds=0.004)  # the engine's loop, after each batch
costs.price(work_of(recipe))
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import models
from engine.recipe import Recipe
from engine.scheduler import BATCH

GRADIENTS = 2.5
"""How many times as long a batch takes with gradients as without: an estimate where one was never timed."""
MULTIPLY_ADDS_A_SECOND = 1e10
"""Of a network that was never timed."""
PIXELS_A_WEIGHT = 500
"""Pixels of the input for which a convolutional network uses each of its weights about once (EfficientNet,
MobileNet, ResNet and VGG at 224 x 224: between 310 and 590)."""
TYPICAL_WEIGHTS = 25_000_000
"""Weights of a network whose card does not say how many it has."""
LATEST = 20
"""About so many batches of one size count in their mean."""
QUICK = 4.0
"""How many times as much quick batches count as slow ones."""


@dataclass(frozen=True)
class Work:
    """What a run asks of the device. ``queries``: how many at most; ``rows``: images in each, on average;
    ``gradients``: whether their gradients are asked for, all but those of ``looks`` queries, which are about
    ``look_rows`` images and not among those that ``rows`` is the average of."""

    model: str
    queries: int
    rows: float = 1.0
    gradients: bool = True
    looks: int = 0
    look_rows: float = 1.0

    @property
    def all_rows(self) -> float:
        """Return the images in a query, on average over all."""
        return ((self.queries - self.looks) * self.rows + self.looks * self.look_rows) / self.queries


@dataclass(frozen=True)
class Price:
    """What a run costs. ``seconds``: of the device's time, alone on it, if nothing stops it early; ``steps``:
    its declared updates; ``measured``: batches of its network were timed on this device, else the seconds are
    an estimate from the number of its weights."""

    seconds: float
    steps: int
    measured: bool


def work_of(recipe: Recipe) -> Work:
    """Return what a recipe asks of the device; raises `errors.UnknownName` or `errors.BadSetting`."""
    attack = recipe.build()
    queries, views = attack.updates() + 1, 1 + len(recipe.survives)
    looks = attack.looks()
    rows = (attack.images_towards(recipe.target is not None) - looks) / max(queries - looks, 1)
    return Work(recipe.model, queries, rows * views, attack.card.access == "white-box", looks, float(views))


def multiply_adds(model: str) -> float:
    """Return about how many multiply-adds a forward pass of one image takes; raises `errors.UnknownName`."""
    card = models.card(model)
    return (card.parameters or TYPICAL_WEIGHTS) * max(1.0, card.size**2 / PIXELS_A_WEIGHT)


class _Mean:
    """A mean of the latest values, in which those below it count `QUICK` times as much as those above: what
    others do meanwhile makes a batch slower and never quicker. The first, in which things are prepared, gives
    way to the second."""

    def __init__(self, first: float) -> None:
        self.value, self.count = first, 0

    def add(self, value: float) -> None:
        self.count += 1
        if self.count == 1:
            self.value = value
            return
        share = 1 / min(self.count, LATEST)
        self.value += (value - self.value) * (share if value < self.value else share / QUICK)


class Costs:
    """How long batches take, by model, number of rows, and with gradients or without; learnt as they come.

    ``size``: multiply-adds for one image, by model, where nothing was timed; ``batch``: rows of a batch at
    most. Any thread may ask.
    """

    def __init__(self, size: Callable[[str], float] = multiply_adds, batch: int = BATCH) -> None:
        self._size, self.batch = size, batch
        self._means: dict[tuple[str, bool], dict[int, _Mean]] = {}
        self._lock = threading.Lock()

    def observe(self, model: str, rows: int, gradients: bool, seconds: float) -> None:
        """Take in that a batch of so many ``rows`` took ``seconds`` of the device, all that belongs to it
        included, and without those in which others had the device."""
        with self._lock:
            means = self._means.setdefault((model, gradients), {})
            if rows in means:
                means[rows].add(seconds)
            else:
                means[rows] = _Mean(seconds)

    def measured(self, model: str, gradients: bool) -> bool:
        """Say whether batches of this kind were timed more than once."""
        with self._lock:
            return any(mean.count for mean in self._means.get((model, gradients), {}).values())

    def seconds(self, model: str, rows: float, gradients: bool) -> float:
        """Return how long a batch of ``rows`` images takes: between the sizes that were timed, or estimated
        from batches of the other kind, or from the size of the network (raises `errors.UnknownName`)."""
        times = GRADIENTS if gradients else 1 / GRADIENTS
        if points := self._timed(model, gradients):
            return _between(points, rows)
        if points := self._timed(model, not gradients):
            return _between(points, rows) * times
        return rows * self._size(model) / MULTIPLY_ADDS_A_SECOND * (GRADIENTS if gradients else 1)

    def timed(self, model: str) -> list[tuple[int, bool, float]]:
        """Return how long batches of a model take: rows, whether with gradients, seconds."""
        return [
            (rows, gradients, seconds)
            for gradients in (False, True)
            for rows, seconds in self._timed(model, gradients)
        ]

    def price(self, work: Work) -> Price:
        """Return what ``work`` costs; raises `errors.UnknownName`."""
        seconds = work.queries * self.a_query(work)
        return Price(seconds, work.queries - 1, self.measured(work.model, work.gradients))

    def a_query(self, work: Work) -> float:
        """Return how long a query of ``work`` takes on average; raises `errors.UnknownName`."""
        asking = self.seconds(work.model, work.rows, work.gradients)
        if not work.looks:
            return asking
        looking = self.seconds(work.model, work.look_rows, False)
        return ((work.queries - work.looks) * asking + work.looks * looking) / work.queries

    def _timed(self, model: str, gradients: bool) -> list[tuple[int, float]]:
        """Return rows and seconds that are known, by rows: those timed more than once, if there are any."""
        with self._lock:
            means = self._means.get((model, gradients), {})
            sure = any(mean.count for mean in means.values())
            return sorted((rows, mean.value) for rows, mean in means.items() if mean.count or not sure)


def _between(points: list[tuple[int, float]], rows: float) -> float:
    """Return the seconds of ``rows`` on the line between the nearest ``points``; beyond them a batch is taken
    to cost a part that is the same for every size, and a part for each row: what it is from the first to the
    last of them, or as much as a row where one size alone is known."""
    index = bisect_left(points, (rows, 0.0))
    if 0 < index < len(points):
        (low, below), (high, above) = points[index - 1 : index + 1]
        return below + (above - below) * (rows - low) / (high - low)
    known, seconds = points[min(index, len(points) - 1)]
    return seconds + (rows - known) * _a_row(points, seconds / known, seconds / (known + 1))


def _a_row(points: list[tuple[int, float]], most: float, alone: float) -> float:
    """Return what a row more costs, beyond the ``points``: between a quarter of ``most`` and ``most``, which
    is what it costs if nothing is the same for every size; ``alone``: where there is one point."""
    (low, below), (high, above) = points[0], points[-1]
    slope = (above - below) / (high - low) if high > low else alone
    return min(max(slope, most / 4), most)
