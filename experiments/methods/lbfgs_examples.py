"""Images distorted for a network, made once and shared by every experiment that asks for the same.

Three readings of "the minimum distortion" of https://arxiv.org/abs/1312.6199, table 1: towards the nearest
class, whichever that is; towards a class drawn at random; and that with a line search over c in tenfolds
that ends at its first success, as coarse as the paper's text allows it to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

import models
from attacks.contract import Criterion, Query, answer, walk
from attacks.lbfgs import LBFGS, towards
from attacks.toolkit.lbfgs_direction import Descent
from engine.networks import shared
from experiments.cache import Store
from experiments.datasets.digit_sets import Digits
from experiments.toolkit import codec

NETS = ("fc10_1e-4", "fc10_1e-2", "fc10_1", "fc100_100", "fc200_200", "ae400", "conv")
NEAREST, RANDOM, COARSE = "nearest", "random", "coarse"
VARIANTS = {
    NEAREST: "towards any other class, all others together",
    RANDOM: "towards another class drawn at random",
    COARSE: "towards the class drawn at random, with c tried in tenfolds until the first success",
}
BATCH = 250
"""So many images are attacked at a time."""
VERSION = 1
"""Counted up when the same images would be distorted in another way."""
Network = Callable[[Tensor], Tensor]
T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """Images ``x`` ``(n, 1, 28, 28)`` in [0, 1], their labels ``y``, a class ``target`` drawn at random
    among the nine others, and their ``index`` in the set that they are from; all ``(n,)`` int64.
    ``origin``: what the order of the images follows from, in words."""

    x: Tensor
    y: Tensor
    target: Tensor
    index: Tensor
    origin: str

    def rows(self, start: int, stop: int) -> Sample:
        """Return the sample of rows ``start`` to before ``stop``."""
        rows = slice(start, stop)
        return Sample(self.x[rows], self.y[rows], self.target[rows], self.index[rows], self.origin)


@dataclass(frozen=True)
class Distorted:
    """What became of a sample: images ``x`` ``(n, 1, 28, 28)`` in [0, 1], and ``met`` ``(n,)`` bool, whether
    the network gives each of them the class that was asked for."""

    x: Tensor
    met: Tensor


@dataclass(frozen=True)
class Examples:
    """The first few images of a sample, so that a page can open them: for each its ``place`` in the set that
    it is from, its label ``source``, and the class ``target`` that the network gives to what was made of it;
    classes from 0 to 9."""

    place: list[int]
    source: list[int]
    target: list[int]


def sample(digits: Digits, part: str, n: int, seed: int) -> Sample:
    """Return ``n`` digits of the ``part`` "train" or "test" (or all, where there are fewer), drawn without
    repetition; of another ``n`` with the same seed, the first are the same."""
    x, y = (digits.train_x, digits.train_y) if part == "train" else (digits.test_x, digits.test_y)
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(len(y), generator=generator)
    target = (y + torch.randint(1, 10, y.shape, generator=generator)) % 10
    index = index[:n]
    return Sample(x[index], y[index], target[index], index, f"{digits.source}, {part}, seed {seed}")


def batches(n: int) -> list[tuple[int, int]]:
    """Return the bounds, from the first row to before the last, of the batches that a sample of ``n`` is
    attacked in."""
    return [(start, min(start + BATCH, n)) for start in range(0, n, BATCH)]


def distort(net: Network, pictures: Sample, variant: str) -> Distorted:
    """Return ``pictures`` changed as little as `attacks.lbfgs` manages so that ``net`` errs. ``variant``: one
    of `VARIANTS`.

    What ``net`` gets wrong already is left as it is where any error is asked for (`NEAREST`), and where
    it already is the target.
    """
    near = variant == NEAREST
    criterion = Criterion(pictures.y if near else pictures.target, not near)
    with torch.no_grad():
        left = ~criterion.met(net(pictures.x))
    after, rows = pictures.x.clone(), Criterion(criterion.label[left], criterion.targeted)
    if left.any() and variant == COARSE:
        after[left] = in_tenfolds(net, pictures.x[left], rows)
    elif left.any():
        *_, last = walk(LBFGS().search(pictures.x[left], rows, torch.Generator()), net, rows)
        after[left] = last.x
    with torch.no_grad():
        return Distorted(after, criterion.met(net(after)))


def in_tenfolds(net: Network, x: Tensor, criterion: Criterion, steps: int = 40) -> Tensor:
    """Return for each row the minimiser of ``c |r|^2 + loss`` for the first c among 10, 1, 0.1, ... 1e-4
    whose minimiser meets ``criterion``, or the last one."""
    goal = partial(towards, criterion)
    first = answer(net, Query(x, goal))
    assert first.loss is not None
    c = torch.full_like(first.loss[:, None], 10.0)
    descent = Descent(x.flatten(1), first.loss[:, None], first.gradient.flatten(1), c, LBFGS().memory)
    met = torch.zeros_like(c, dtype=torch.bool)
    while not met.all() and c.min() > 5e-5:
        descent.c = c
        descent.turn(~met)
        met = _minimise(net, descent, goal, criterion, x, met, steps)
        c = torch.where(met, c, c / 10)
    return descent.at.view_as(x)


def _minimise(
    net: Network,
    descent: Descent,
    goal: Callable[[Tensor], Tensor],
    criterion: Criterion,
    x: Tensor,
    met: Tensor,
    steps: int,
) -> Tensor:
    """Take ``descent`` to its minimum, except in rows that are ``met``; return those that are met now."""
    for _ in range(steps):
        trial = torch.where(met, descent.at, descent.trial())
        reply = answer(net, Query(trial.view_as(x), goal))
        assert reply.loss is not None
        moved = descent.hear(trial, reply.loss[:, None], reply.gradient.flatten(1))
        descent.turn(moved & ~met)
        if (met | descent.settled()).all():
            break
    with torch.no_grad():
        return met | criterion.met(net(descent.at.view_as(x)))[:, None]


def distorted_part(
    store: Store, name: str, pictures: Sample, variant: str, bounds: tuple[int, int]
) -> Distorted:
    """Return the rows within ``bounds`` of ``pictures`` distorted for the network ``name``: those that an
    experiment has stored beside ``store``, else made now and stored."""
    facts = (VERSION, models.card(name).weights.sha256, variant, bounds, pictures.origin)
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    common = Store(store.folder.parent).under("distorted")
    if not common.has_tensors(digest):
        part = distort(shared(name), pictures.rows(*bounds), variant)
        common.put_tensors(digest, {"x": part.x, "met": part.met})
    return Distorted(**common.tensors(digest))


def distorted(store: Store, name: str, pictures: Sample, variant: str) -> Distorted:
    """Return the whole of ``pictures`` distorted for the network ``name``; see `distorted_part`."""
    bounds = batches(len(pictures.y))
    done = [distorted_part(store, name, pictures, variant, rows) for rows in bounds]
    return Distorted(torch.cat([part.x for part in done]), torch.cat([part.met for part in done]))


def distortion(before: Tensor, after: Tensor) -> Tensor:
    """Return ``(n,)``: the root of the mean squared change of a pixel (table 1's unit)."""
    return (after - before).flatten(1).pow(2).mean(1).sqrt()


def noisy(x: Tensor, deviation: float, generator: torch.Generator, cut: bool = False) -> Tensor:
    """Return ``x`` with Gaussian noise of that standard deviation; ``cut``: to [0, 1] afterwards."""
    noise = deviation * torch.randn(x.shape, generator=generator)
    return (x + noise).clamp(0, 1) if cut else x + noise


def noisy_at(x: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
    """Return ``x`` with Gaussian noise, cut to [0, 1], of which row i has `distortion` ``size[i]`` exactly.

    Cutting makes noise smaller, so that its scale is found by bisection.
    """
    noise = torch.randn(x.shape, generator=generator)
    low, high = torch.zeros_like(size), torch.full_like(size, 100.0)
    for _ in range(50):
        middle = (low + high) / 2
        short = distortion(x, (x + middle[:, None, None, None] * noise).clamp(0, 1)) < size
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (x + high[:, None, None, None] * noise).clamp(0, 1)


def amplified(x: Tensor, after: Tensor, size: float) -> Tensor:
    """Return ``x`` changed in the direction of ``after`` by `distortion` ``size``, then cut to [0, 1].

    The paper prints ``x + 0.1 r / |r|``, whose standard deviation is 0.1 / 28; its text asks for 0.1. A
    picture that was not changed stays as it is.
    """
    change = after - x
    length = distortion(x, after).clamp(min=1e-12)
    return (x + size * change / length[:, None, None, None]).clamp(0, 1)


@torch.no_grad()
def predictions(name: str, x: Tensor) -> Tensor:
    """Return ``(n,)`` classes that the network ``name`` gives to images ``x`` ``(n, 1, 28, 28)``."""
    net = shared(name)
    return torch.cat([net(part).argmax(1) for part in x.split(1000)])


def count_wrong(name: str, x: Tensor, y: Tensor) -> int:
    """Return to how many of the images ``x`` the network ``name`` gives another class than ``y`` ``(n,)``."""
    return int((predictions(name, x) != y).sum())


def examples(name: str, pictures: Sample, after: Tensor, count: int = 15) -> Examples:
    """Return the first ``count`` pictures as a page needs them to open a cell, with the classes that the
    network ``name`` gives to ``after``, which was made of them."""
    return Examples(
        place=pictures.index[:count].tolist(),
        source=pictures.y[:count].tolist(),
        target=predictions(name, after[:count]).tolist(),
    )


def rounded(figures: T) -> T:
    """Return a dataclass with its fractions cut to five digits behind the point."""
    return codec.load(_rounded(codec.dump(figures)), type(figures))


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value
