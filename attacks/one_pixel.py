"""Su, Vargas, Sakurai: One Pixel Attack for Fooling Deep Neural Networks. https://arxiv.org/abs/1710.08864."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit.batch import choose

AT_ONCE = 32
"""How many pictures are asked about beside the one that is shown."""


@dataclass(frozen=True)
class OnePixel(Attack):
    """Differential evolution of a few pixels' places and colours (section 3.2).

    A child is one member plus half the difference of two others (equation 3), and takes its parent's
    place if it does better; there is no crossover. The first generation is random: places evenly, colours
    normal around the middle. Each query shows the best picture so far, beside the ones that are tried.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="one_pixel",
        title="One Pixel",
        summary="Change one pixel, or a few, to any colour; evolution finds where and which.",
        paper="One Pixel Attack for Fooling Deep Neural Networks",
        url="https://arxiv.org/abs/1710.08864",
        year=2017,
        access="score-based",
        kind="free",
        rule=r"\text{child}_i = x_{r_1} + F\,(x_{r_2} - x_{r_3}),\qquad F = .5",
        use="Showing that a single pixel can matter; works on small pictures.",
    )

    pixels: int = setting(
        1, "Pixels", "How many pixels may change.", low=1, high=1024, soft_high=64, main=True
    )
    steps: int = setting(
        30,
        "Generations",
        "How often the population is renewed, the random first one included.",
        low=0,
        high=1000,
        soft_high=100,
        main=True,
    )
    population: int = setting(
        96,
        "Population",
        "How many pictures compete, one query each a generation.",
        low=3,
        high=1000,
        soft_high=400,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, the best picture so far beside those tried, and the best; see `Attack.search`."""
        yield Query(x, None)
        members = self.first(x, rng)
        losses = x.new_full(members.shape[:2], math.inf)
        best, top = paint(x, members[:1])[0], losses[0]
        for generation in range(self.steps):
            children = self.children(members, rng) if generation else members
            values = []
            for part in children.split(AT_ONCE):
                tried = paint(x, part)
                answer = yield Query(torch.cat([best, tried.flatten(0, 1)]), None)
                loss = criterion.repeat(len(part) + 1).loss(answer.logits).view(len(part) + 1, -1)[1:]
                values.append(loss)
                least, index = loss.min(0)
                best = choose(least < top, tried[index, torch.arange(len(x), device=x.device)], best)
                top = torch.minimum(least, top)
            value = torch.cat(values)
            members = children.where((value < losses)[..., None, None], members)
            losses = torch.minimum(value, losses)
        if self.steps:
            yield Query(best, None)

    def first(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return random members ``(population, n, pixels, 2 + c)``: row, column and colour, in [0, 1]."""
        shape = (self.population, len(x), self.pixels)
        places = torch.rand((*shape, 2), generator=rng, dtype=x.dtype)
        colours = torch.randn((*shape, x.shape[1]), generator=rng, dtype=x.dtype) * (127 / 255) + 128 / 255
        return torch.cat([places, colours], -1).clamp(0, 1).to(x.device)

    def children(self, members: Tensor, rng: torch.Generator) -> Tensor:
        """Return one child for each member: a + (b - c) / 2 of three members drawn anew (equation 3)."""
        p, n = members.shape[:2]
        drawn = torch.rand((p, n, p), generator=rng).topk(3).indices.to(members.device)
        a, b, c = (members[drawn[..., k], torch.arange(n, device=members.device)] for k in range(3))
        return (a + (b - c) / 2).clamp(0, 1)

    def updates(self) -> int:
        """Return how many queries the generations take, and one for the best picture."""
        return self.steps * math.ceil(self.population / AT_ONCE) + (self.steps > 0)

    def images(self) -> int:
        """Return the generations' pictures, and for each of their queries the best one beside them."""
        return self.steps * self.population + self.updates() + 1

    def stochastic(self) -> bool:
        """Say yes: evolution begins and goes on at random."""
        return True


def paint(x: Tensor, members: Tensor) -> Tensor:
    """Return ``x`` with the pixels of each of ``(p, n, pixels, 2 + c)`` members, ``(p, n, c, h, w)``."""
    height, width = x.shape[2:]
    adv = x.repeat(len(members), 1, 1, 1, 1)
    rows = (members[..., 0] * height).long().clamp(max=height - 1)
    columns = (members[..., 1] * width).long().clamp(max=width - 1)
    which = torch.arange(len(members), device=x.device)[:, None], torch.arange(len(x), device=x.device)
    for k in range(members.shape[2]):
        adv[(*which, slice(None), rows[..., k], columns[..., k])] = members[..., k, 2:]
    return adv
