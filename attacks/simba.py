"""Guo et al.: Simple Black-box Adversarial Attacks. https://arxiv.org/abs/1905.07121."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit.batch import choose, wide


@dataclass(frozen=True)
class SimBA(Attack):
    """Try a step along one basis vector, else the opposite one; keep what helps (algorithm 1).

    Each vector comes once, in random order, before any comes again. With the cosine basis the lowest
    frequencies come first: each time one more ``low``-th part of them, in random order (section 3.1).
    The last query is the picture with all steps that were kept.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="simba",
        title="SimBA",
        summary="Change one pixel, or one wave over the picture, at a time; keep each change that helps.",
        paper="Simple Black-box Adversarial Attacks",
        url="https://arxiv.org/abs/1905.07121",
        year=2019,
        access="score-based",
        kind="free",
        rule=r"\delta \leftarrow \delta \pm \epsilon\,q \ \text{ if }\ p_y(x + \delta \pm "
        r"\epsilon\,q) \text{ improves},\qquad q \in Q",
        use="The simplest search there is: try a direction, keep what helps.",
    )

    steps: int = setting(
        500,
        "Tries",
        "How many pictures are tried, one query each.",
        low=0,
        high=10_000,
        soft_high=5000,
        main=True,
    )
    step_size: float = setting(
        0.2,
        "Step size",
        "The length of one step: of the change of one value, or of one wave.",
        low=0,
        high=10,
        soft_high=1,
        step=0.01,
        unit="distance",
        main=True,
    )
    basis: str = setting(
        "dct",
        "Directions",
        "Single values of the picture (pixel), or waves from low to high frequency (dct).",
        choices=("dct", "pixel"),
    )
    low: float = setting(
        0.125,
        "Low frequencies",
        "Waves come in shells, from low to high: which share of the frequencies each shell spans.",
        low=0.01,
        high=1,
        step=0.005,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, every picture that is tried, and the last one kept; see `Attack.search`."""
        answer = yield Query(x, None)
        if not self.steps:
            return
        order = torch.stack([self.order(x, rng) for _ in x])
        best, least = x, criterion.loss(answer.logits)
        turn = torch.zeros(len(x), dtype=torch.long)
        for _ in range(self.steps):
            # Turns 2k and 2k + 1 are the steps up and down along vector k.
            vector = order.gather(1, (turn // 2 % order.shape[1])[:, None])[:, 0]
            direction = self.vectors(vector.to(x.device), x) * wide(1 - 2 * (turn % 2), x).to(x)
            adv = (best + self.step_size * direction).clamp(0, 1)
            value = criterion.loss((yield Query(adv, None)).logits)
            helps = value < least
            best, least = choose(helps, adv, best), torch.minimum(value, least)
            turn = turn + torch.where(helps.cpu(), 2 - turn % 2, 1)
        yield Query(best, None)

    def order(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the numbers of the vectors in the order in which one picture has them, (up to `steps`,)."""
        _, c, height, width = x.shape
        order = torch.randperm(c * height * width, generator=rng)
        if self.basis == "dct":
            row, column = order // width % height, order % width
            shell = torch.maximum(row / height, column / width) // self.low
            order = order[shell.argsort(stable=True)]
        return order[: self.steps]

    def vectors(self, number: Tensor, x: Tensor) -> Tensor:
        """Return the basis vectors of these numbers ``(n,)`` as pictures of length 1, each in one channel."""
        _, c, height, width = x.shape
        row, column = number // width % height, number % width
        line = wave if self.basis == "dct" else pulse
        plane = line(row, height, x)[:, :, None] * line(column, width, x)[:, None, :]
        channel = pulse(number // (height * width), c, x)
        return channel[:, :, None, None] * plane[:, None]

    def updates(self) -> int:
        """Return the number of tries, and one for what was kept."""
        return self.steps + (self.steps > 0)

    def stochastic(self) -> bool:
        """Say yes: the order is random."""
        return True


def wave(frequency: Tensor, size: int, like: Tensor) -> Tensor:
    """Return the cosines of the orthonormal transform (DCT-II) for ``(n,)`` frequencies, ``(n, size)``."""
    place = (2 * torch.arange(size, device=like.device, dtype=like.dtype) + 1) * (math.pi / (2 * size))
    scale = torch.where(frequency == 0, 1.0, 2.0).to(like).div(size).sqrt()
    return scale[:, None] * torch.cos(frequency[:, None].to(like) * place)


def pulse(place: Tensor, size: int, like: Tensor) -> Tensor:
    """Return 1 at these places ``(n,)`` and 0 elsewhere, ``(n, size)``."""
    return (place[:, None] == torch.arange(size, device=like.device)).to(like)
