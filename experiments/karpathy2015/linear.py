"""A classifier small enough to compute by hand: five pixels and a logistic curve, and Karpathy's ten numbers.

The five weights are those of *How to trick a neural network into thinking a panda is a vulture*, the ten
those of http://karpathy.github.io/2015/03/30/breaking-convnets/.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

WEIGHTS = (23, -3, 9, 2, -5)
SLIPPED = (23, -3, 9, 2, 5)
"""The weights as the article's list has them; its formula has -5 for the last, and so have `WEIGHTS`."""
LEVELS = 256
CERTAIN = 794
"""The article's score that is "100 %"."""

X = (2, -1, 3, -2, 2, 2, 1, -4, 5, 1)
W = (-1, -1, 1, -1, 1, -1, 1, 1, -1, 1)
STEP = 0.5


class TenNumbers(NamedTuple):
    """Score and probability (0 to 1) of Karpathy's ten numbers, and once they have moved."""

    score: float
    p: float
    moved_score: float
    moved_p: float


PUBLISHED = TenNumbers(score=-3.0, p=0.0474, moved_score=2.0, moved_p=0.88)
"""Karpathy's numbers, before and after ``X + STEP * W``."""


class FivePixels(NamedTuple):
    """Five levels, each 0 to 255, and how many drawings it took to meet them."""

    pixels: tuple[int, ...]
    draws: int


class Census(NamedTuple):
    """All pictures of five pixels, counted: how many there are; how many have the score `CERTAIN`; how many
    get a probability that is exactly 1 in float64; how many one between 1 % and 99 %."""

    pictures: int
    certain: int
    one: int
    unsure: int


def score(x: Sequence[float], weights: Sequence[float] = WEIGHTS) -> float:
    """Return the sum of weight times value; raises ValueError where their numbers differ."""
    return sum(w * value for w, value in zip(weights, x, strict=True))


def logistic(t: float) -> float:
    """Return ``1 / (1 + e^-t)``, in [0, 1]; no ``t`` overflows."""
    return 1 / (1 + math.exp(-t)) if t >= 0 else math.exp(t) / (1 + math.exp(t))


def find(seed: int, wanted: int = CERTAIN) -> FivePixels:
    """Return five levels whose score is exactly ``wanted``, drawn evenly among all there are.

    Four are drawn, and the fourth pixel (weight 2) is what remains; drawn again where that is no level.
    """
    rng, place, draws = np.random.default_rng(seed), WEIGHTS.index(2), 0
    while True:
        draws += 1
        drawn = [int(level) for level in rng.integers(0, LEVELS, len(WEIGHTS))]
        drawn[place] = 0
        level, odd = divmod(wanted - int(score(drawn)), WEIGHTS[place])
        if not odd and 0 <= level < LEVELS:
            drawn[place] = level
            return FivePixels(tuple(drawn), draws)


@cache
def edge() -> int:
    """Return the least whole score whose probability is 1 to the last digit of float64."""
    return next(t for t in range(1000) if logistic(t) == 1)


@cache
def counted() -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    """Count all pictures of five pixels by their score: a convolution of five combs, in whole numbers.
    Return the counts and the score of the first one; those of the others follow one by one."""
    counts, lowest = np.ones(1, dtype=np.int64), 0
    for weight in WEIGHTS:
        comb = np.zeros(abs(weight) * (LEVELS - 1) + 1, dtype=np.int64)
        comb[:: abs(weight)] = 1
        counts, lowest = np.convolve(counts, comb), lowest + min(0, weight * (LEVELS - 1))
    return counts, lowest


@cache
def census() -> Census:
    """Return what the text says of all pictures of five pixels."""
    counts, lowest = counted()
    scores = np.arange(len(counts)) + lowest
    half = math.log(99)  # the score of 99 %
    return Census(
        int(counts.sum()),
        int(counts[scores == CERTAIN].sum()),
        int(counts[scores >= edge()].sum()),
        int(counts[np.abs(scores) < half].sum()),
    )


def spread(width: int = 100) -> tuple[list[float], list[float]]:
    """Return the middles of score ranges of ``width``, and the share of all pictures within each."""
    counts, lowest = counted()
    filled = np.pad(counts, (0, -len(counts) % width)).reshape(-1, width).sum(1)
    middles = lowest + width * (np.arange(len(filled)) + 0.5)
    return middles.tolist(), (filled / filled.sum()).tolist()


def moved(step: float) -> tuple[float, ...]:
    """Return Karpathy's ten numbers, each moved by ``step`` times its weight."""
    return tuple(x + step * w for x, w in zip(X, W, strict=True))


def tipping() -> float:
    """Return the step at which Karpathy's score is 0 and the probability one half."""
    return -score(X, W) / score(W, W)


def signed(value: int, plus: bool = False) -> str:
    """Return a number with a true minus sign; ``plus``: also with a plus, and a space, within a sum."""
    sign = "−" if value < 0 else "+" if plus else ""
    return f"{sign}{' ' if plus else ''}{abs(value)}"
