"""Pictures distorted for a network, made once and shared by every experiment that asks for the same.

Three readings of "the minimum distortion" of https://arxiv.org/abs/1312.6199, table 1: towards the nearest
class, whichever that is; towards a class drawn at random; and that with a line search over c in tenfolds
that ends at its first success, as coarse as the paper's text allows it to be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

import models
from attacks.contract import Criterion, Query, answer, walk
from attacks.lbfgs import LBFGS, towards
from attacks.toolkit.lbfgs_direction import Descent
from experiments.cache import Store
from experiments.datasets.digit_sets import Digits

NETS = ("fc10_1e-4", "fc10_1e-2", "fc10_1", "fc100_100", "fc200_200", "ae400", "conv")
NEAREST, RANDOM, COARSE = "nearest", "random", "coarse"
VARIANTS = {
    NEAREST: "towards any other class, all others together",
    RANDOM: "towards another class drawn at random",
    COARSE: "towards the class drawn at random, with c tried in tenfolds until the first success",
}
ROWS = 250
"""So many pictures are attacked at a time."""
VERSION = 1
"""Counted up when the same pictures would be distorted in another way."""
Network = Callable[[Tensor], Tensor]


class Sample(NamedTuple):
    """Pictures ``x`` ``(n, 1, 28, 28)`` in [0, 1], their labels ``y``, a class ``target`` drawn at random
    among the nine others, and their ``place`` in the set that they are from; all ``(n,)`` int64.
    ``said``: what the order of the pictures follows from."""

    x: Tensor
    y: Tensor
    target: Tensor
    place: Tensor
    said: str

    def rows(self, start: int, stop: int) -> Sample:
        """Return the sample of rows ``start`` to ``stop``."""
        rows = slice(start, stop)
        return Sample(self.x[rows], self.y[rows], self.target[rows], self.place[rows], self.said)


class Distorted(NamedTuple):
    """What became of a sample: pictures ``x``, and whether each is ``met``, answered as was asked."""

    x: Tensor
    met: Tensor


def sample(found: Digits, part: str, n: int, seed: int) -> Sample:
    """Return ``n`` digits of the ``part`` "train" or "test" (or all, where there are fewer), drawn without
    repetition; of another ``n`` with the same seed, the first are the same."""
    x, y = (found.train_x, found.train_y) if part == "train" else (found.test_x, found.test_y)
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(len(y), generator=generator)
    target = (y + torch.randint(1, 10, y.shape, generator=generator)) % 10
    index = index[:n]
    return Sample(x[index], y[index], target[index], index, f"{found.source}, {part}, seed {seed}")


def parts(n: int) -> list[tuple[int, int]]:
    """Return the bounds of the pieces that a sample of ``n`` is attacked in."""
    return [(start, min(start + ROWS, n)) for start in range(0, n, ROWS)]


def distort(net: Network, pictures: Sample, variant: str) -> Distorted:
    """Return ``pictures`` changed as little as `attacks.lbfgs` manages so that ``net`` errs.

    What ``net`` gets wrong already is left as it is where any error is asked for (`NEAREST`), and where
    it already is the target.
    """
    near = variant == NEAREST
    criterion = Criterion(pictures.y if near else pictures.target, not near)
    with torch.no_grad():
        left = ~criterion.met(net(pictures.x))
    found, rows = pictures.x.clone(), Criterion(criterion.label[left], criterion.targeted)
    if left.any() and variant == COARSE:
        found[left] = in_tenfolds(net, pictures.x[left], rows)
    elif left.any():
        *_, last = walk(LBFGS().search(pictures.x[left], rows, torch.Generator()), net, rows)
        found[left] = last.x
    with torch.no_grad():
        return Distorted(found, criterion.met(net(found)))


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


def keep(store: Store, name: str, pictures: Sample, variant: str, bounds: tuple[int, int]) -> Distorted:
    """Return rows ``bounds`` of ``pictures`` distorted for the network ``name``: those that an experiment
    has kept beside ``store``, else made now and kept."""
    facts = (VERSION, models.card(name).weights.sha256, variant, bounds, pictures.said)
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    shared = Store(store.folder.parent).under("distorted")
    if not shared.has_tensors(digest):
        found = distort(models.load(name), pictures.rows(*bounds), variant)
        shared.put_tensors(digest, found._asdict())
    return Distorted(**shared.tensors(digest))


def kept(store: Store, name: str, pictures: Sample, variant: str) -> Distorted:
    """Return the whole of ``pictures`` distorted for the network ``name``; see `keep`."""
    pieces = [keep(store, name, pictures, variant, bounds) for bounds in parts(len(pictures.y))]
    return Distorted(torch.cat([p.x for p in pieces]), torch.cat([p.met for p in pieces]))


def distortion(before: Tensor, after: Tensor) -> Tensor:
    """Return ``(n,)``: the root of the mean squared change of a pixel (table 1's unit)."""
    return (after - before).flatten(1).pow(2).mean(1).sqrt()


def noisy(x: Tensor, deviation: float, generator: torch.Generator, cut: bool = False) -> Tensor:
    """Return ``x`` with Gaussian noise of that standard deviation; ``cut``: to [0, 1] afterwards."""
    noise = deviation * torch.randn(x.shape, generator=generator)
    return (x + noise).clamp(0, 1) if cut else x + noise


def as_noisy(x: Tensor, size: Tensor, generator: torch.Generator) -> Tensor:
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
def answers(name: str, x: Tensor) -> Tensor:
    """Return ``(n,)`` classes that the network ``name`` gives to pictures ``x``."""
    net = models.load(name)
    return torch.cat([net(part).argmax(1) for part in x.split(1000)])


def wrong(name: str, x: Tensor, y: Tensor) -> int:
    """Return of how many pictures ``x`` the network ``name`` does not say that they are ``y``."""
    return int((answers(name, x) != y).sum())


def examples(name: str, pictures: Sample, after: Tensor, count: int = 15) -> dict[str, list[int]]:
    """Return what a page needs to open a cell: of the first ``count`` pictures the place in their set, the
    label, and what the network ``name`` says of what was made of them."""
    return {
        "place": pictures.place[:count].tolist(),
        "source": pictures.y[:count].tolist(),
        "target": answers(name, after[:count]).tolist(),
    }


def rounded(value: Any) -> Any:
    """Return JSON with its fractions cut to five digits behind the point."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 5) if isinstance(value, float) else value
