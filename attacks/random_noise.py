"""Fawzi, Moosavi-Dezfooli, Frossard: Robustness of Classifiers, from Adversarial to Random Noise. https://arxiv.org/abs/1608.08967."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import choose, wide


@dataclass(frozen=True)
class RandomNoise(Attack):
    """Noise as large as an attack's change, to see what the change's direction is worth.

    Every draw is a random sign for each value (linf) or a direction drawn evenly from all (l2), as large
    as the budget, inside the box. The last query is the draw with the best margin.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="random_noise",
        title="Random noise",
        summary="The same amount of change with no plan behind it, drawn again and again.",
        paper="Robustness of Classifiers: from Adversarial to Random Noise",
        url="https://arxiv.org/abs/1608.08967",
        year=2016,
        access="control",
        kind="budget",
        rule=r"x' = \mathrm{clip}_{[0,1]}(x + \epsilon\,u),\qquad u_i = \pm 1\ \text{(linf)}\ \ "
        r"\text{or}\ \ u = v/\|v\|_2,\ v \sim \mathcal N(0, I)\ \text{(l2)}",
        use="Asking whether it is just noise: the same size of change, without a direction.",
    )

    epsilon: float = setting(
        None,
        "Largest change",
        "How far the picture moves in all: every single value (linf), or all of them together (l2).",
        by=norms.budgets(norms.LINF, norms.L2),
        main=True,
    )
    steps: int = setting(
        40, "Draws", "How often noise is drawn.", low=0, high=10_000, soft_high=300, main=True
    )
    norm: str = setting(
        norms.LINF.name,
        "Distance",
        "What counts as far: the largest change (linf) or its length (l2).",
        choices=norms.names(norms.LINF, norms.L2),
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, each draw, and the best draw; see `Attack.search`."""
        yield Query(x, None)
        best, top = x, x.new_full((len(x),), -math.inf)
        for _ in range(self.steps):
            adv = self.move(x, self.draw(x, rng), self.epsilon)
            answer = yield Query(adv, None)
            margin = criterion.margin(answer.logits)
            best, top = choose(margin > top, adv, best), torch.maximum(margin, top)
        if self.steps:
            yield Query(best, None)

    def draw(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return a random way to go, of size 1 in the attack's norm and the shape of ``x``."""
        noise = torch.randn(x.shape, generator=rng, dtype=x.dtype).to(x.device)
        return norms.get(self.norm).steepest(noise)

    def move(self, x: Tensor, direction: Tensor, size: float) -> Tensor:
        """Return ``x`` moved along ``direction`` by ``size`` inside the box, or as far as the box lets it."""
        adv = (
            (x + size * direction).clamp(0, 1) if self.norm == norms.LINF.name else reach(x, direction, size)
        )
        return norms.get(self.norm).project(x, adv, size)

    def updates(self) -> int:
        """Return the number of draws, and one for the best of them."""
        return self.steps + (self.steps > 0)

    def bound(self) -> tuple[str, float]:
        """Return (norm, epsilon)."""
        return self.norm, self.epsilon

    def stochastic(self) -> bool:
        """Say yes: it is all chance."""
        return True


def reach(x: Tensor, direction: Tensor, length: float) -> Tensor:
    """Return clamp(x + t way) with the t at which the change is ``length`` long, or else the box's corner.

    What is clamped leaves the rest a longer way to go; each round finds t for those that were not clamped
    in the round before, and is exact once no more are.
    """
    room, speed = torch.where(direction > 0, 1 - x, x), direction.abs()
    t = x.new_full((len(x),), length) / norms.l2(direction).clamp(min=1e-12)
    for _ in range(50):
        free = wide(t, x) * speed < room
        left = (length**2 - norms.l2(room * ~free) ** 2).clamp(min=0)
        across = norms.l2(speed * free)
        further = torch.where(across > 0, left.sqrt() / across.clamp(min=1e-12), t)
        if not (further > t).any():
            break
        t = torch.maximum(t, further)
    return (x + wide(t, x) * direction).clamp(0, 1)
