"""A plane of pictures, coloured by what a network says of them, from coarse to fine.

The plane goes through a picture and its adversarial; a third point gives it its second direction. A grid of
``cells`` x ``cells`` squares lies over a window of it, and the corners of the squares are the pictures that
are asked about. At the coarsest level all are asked. From there on a new corner that lies between two corners
of the same class, or in a square whose four corners have the same class, is filled in; in a half-plane, which
is convex, what is filled in is always right. Up to `SEARCHED` cells the middles of squares are always asked
about, so that what lies inside of a square is not missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from engine.inside.asking import UNCHANGED, Asker
from engine.run import Floats
from errors import BadSetting
from models.core import Classifier

Whole = npt.NDArray[np.int64]
Exact = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
LEVELS = (4, 8, 16, 32, 64, 128, 256)
"""Cells in a row, from coarse to fine."""
SEARCHED = 8
"""Up to so many cells in a row, what lies in the middle of a coarser square is always asked about."""
SMALLEST = 1e-4
"""An l2 below which two points are one."""


@dataclass(frozen=True)
class Axes:
    """``origin`` ``(c, h, w)`` in [0, 1]; ``right`` and ``up`` ``(c, h, w)``: orthonormal directions, so that
    coordinates are in units of l2; ``adversarial`` and ``third``: (right, up) of the two other points."""

    origin: Floats
    right: Floats
    up: Floats
    adversarial: tuple[float, float]
    third: tuple[float, float]

    def points(self, right: Exact, up: Exact) -> Floats:
        """Return the points ``(n, c, h, w)`` at coordinates ``(n,)``; they may lie outside [0, 1]."""
        a, b = (values.astype(np.float32).reshape(-1, 1, 1, 1) for values in (right, up))
        points: Floats = self.origin + a * self.right + b * self.up
        return points


def axes(start: Floats, adversarial: Floats, third: Floats) -> Axes:
    """Return the plane through three points ``(c, h, w)``.

    Raises `errors.BadSetting` where they are on one line.
    """
    first, second = adversarial - start, third - start
    distance = float(np.linalg.norm(first))
    if distance < SMALLEST:
        raise BadSetting(UNCHANGED)
    right = first / distance
    along = float((second * right).sum())
    across: Floats = second - along * right
    height = float(np.linalg.norm(across))
    if height < SMALLEST * max(1.0, float(np.linalg.norm(second))):
        raise BadSetting("Expected a third point off the line through the two pictures, got one on it.")
    return Axes(start, right, across / height, (distance, 0.0), (along, height))


@dataclass(frozen=True)
class Asked:
    """Corners that were asked about: ``cells`` in a row of the grid, ``at``: ``row * (cells + 1) + column``,
    row 0 at the lower end; ``labels``: classes; ``probabilities`` of them in [0, 1]; ``clipped``: the share
    of values, in [0, 1], that lay outside [0, 1] and were clipped before the network saw them."""

    cells: int
    at: tuple[int, ...]
    labels: tuple[int, ...]
    probabilities: tuple[float, ...]
    clipped: tuple[float, ...]


@dataclass(frozen=True)
class Finished:
    """A level is complete: ``asked`` and ``filled`` count all its corners, those of coarser ones included."""

    cells: int
    asked: int
    filled: int


@dataclass
class Grid:
    """What is known of a level. Arrays ``(cells + 1, cells + 1)``: ``labels`` (-1: not known), ``numbers``
    ``(2, ...)`` in [0, 1]: probability, and share of values clipped; ``asked``: not filled in."""

    cells: int
    labels: Whole
    numbers: Exact
    asked: Flags

    @classmethod
    def empty(cls, cells: int) -> Grid:
        """Return a level of which nothing is known."""
        side = (cells + 1, cells + 1)
        return cls(cells, np.full(side, -1), np.zeros((2, *side)), np.zeros(side, bool))

    def finer(self) -> Grid:
        """Return the next level, with what follows from this one filled in."""
        fine = Grid.empty(2 * self.cells)
        fine.labels[::2, ::2], fine.asked[::2, ::2] = self.labels, self.asked
        fine.numbers[:, ::2, ::2] = self.numbers
        fine._fill()
        return fine

    def _fill(self) -> None:
        known, numbers = self.labels[::2, ::2], self.numbers[:, ::2, ::2]
        for place, corners in _between()[: 2 if self.cells <= SEARCHED else 3]:
            around = np.stack([known[corner] for corner in corners])
            same = (around == around[0]).all(axis=0)
            self.labels[place] = np.where(same, around[0], -1)
            mean = np.mean([numbers[:, *corner] for corner in corners], axis=0)
            self.numbers[:, *place] = np.where(same, mean, 0.0)

    def wanted(self) -> Whole:
        """Return the corners ``(n,)`` that have to be asked about."""
        return np.flatnonzero(self.labels.ravel() < 0)

    def take(self, asked: Asked) -> None:
        """Write down an answer."""
        at = np.asarray(asked.at, int)
        self.labels.ravel()[at] = asked.labels
        self.numbers[0].ravel()[at], self.numbers[1].ravel()[at] = asked.probabilities, asked.clipped
        self.asked.ravel()[at] = True


Slices = tuple[slice, slice]
ALL, ODD, FORE, REAR = slice(None), slice(1, None, 2), slice(None, -1), slice(1, None)
EVEN = slice(None, None, 2)


def _between() -> list[tuple[Slices, list[Slices]]]:
    """Return, for each kind of new corner, where it is in the fine grid, and its corners in the coarse; the
    middles of squares come last."""
    return [
        ((EVEN, ODD), [(ALL, FORE), (ALL, REAR)]),
        ((ODD, EVEN), [(FORE, ALL), (REAR, ALL)]),
        ((ODD, ODD), [(FORE, FORE), (FORE, REAR), (REAR, FORE), (REAR, REAR)]),
    ]


@dataclass(frozen=True)
class Plane:
    """Asks about a square window of a plane, from coarse to fine; a probe that yields `Asked` and, at the end
    of each level, `Finished`.

    ``centre``: (right, up) and ``half``: half its side, in l2; ``cells``: of the finest level, one of
    `LEVELS`; ``known``: answers of an earlier probe of the same window, which are not asked for again.
    """

    axes: Axes
    centre: tuple[float, float]
    half: float
    cells: int = 64
    known: tuple[Asked, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.cells not in LEVELS:
            raise BadSetting(
                "Expected {names} cells in a row, got {cells}.",
                names=", ".join(map(str, LEVELS)),
                cells=self.cells,
            )
        if not (0 < self.half < 1e6 and np.isfinite(self.centre).all()):
            raise BadSetting("Expected a window of a finite size, got {half}.", half=self.half)

    def pieces(self, network: Classifier) -> Iterator[Asked | Finished]:
        """Yield answers batch by batch, the coarse levels first."""
        asker = Asker(network)
        for grid in levels(self.known, self.cells):
            wanted = grid.wanted()
            for batch in asker.batches(len(wanted)):
                answer = self._ask(asker, grid, wanted[batch])
                grid.take(answer)
                yield answer
            yield Finished(grid.cells, int(grid.asked.sum()), int((~grid.asked).sum()))

    def _ask(self, asker: Asker, grid: Grid, at: Whole) -> Asked:
        row, column = np.divmod(at, grid.cells + 1)
        right, up = (
            middle + self.half * (2.0 * index / grid.cells - 1)
            for middle, index in zip(self.centre, (column, row), strict=True)
        )
        x = self.axes.points(right, up)
        clipped = ((x < 0) | (x > 1)).reshape(len(x), -1).mean(1)
        best = asker.logits(torch.from_numpy(x.clip(0, 1))).softmax(1).max(1)
        texts = [tuple(values.tolist()) for values in (best.indices, best.values, clipped)]
        return Asked(grid.cells, tuple(at.tolist()), *texts)


def levels(answers: Sequence[Asked], cells: int) -> Iterator[Grid]:
    """Yield level after level up to ``cells`` in a row, with what ``answers`` say of each; whoever asks
    completes it before the next."""
    grid = Grid.empty(LEVELS[0])
    while True:
        for answer in answers:
            if answer.cells == grid.cells:
                grid.take(answer)
        yield grid
        if grid.cells >= cells:
            return
        grid = grid.finer()


def grid_of(answers: Sequence[Asked], cells: int) -> Grid:
    """Return what ``answers``, of all levels up to ``cells`` in a row, say of the finest."""
    *_, finest = levels(answers, cells)
    return finest
