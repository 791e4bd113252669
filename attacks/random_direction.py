"""Fawzi, Moosavi-Dezfooli, Frossard: Robustness of Classifiers, from Adversarial to Random Noise. https://arxiv.org/abs/1608.08967."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import AttackCard, Criterion, Query, Search
from attacks.random_noise import RandomNoise
from attacks.settings import setting


@dataclass(frozen=True)
class RandomDirection(RandomNoise):
    """One random direction, followed as far as an attack would go, in equal steps.

    What an attack's path looks like when the direction means nothing: the last query is at the full
    distance.
    """

    card: ClassVar[AttackCard] = replace(
        RandomNoise.card,
        name="random_direction",
        title="Random direction",
        summary="One direction drawn at random, walked as far as an attack would go.",
        rule=r"x_k = \mathrm{clip}_{[0,1]}\bigl(x + \tfrac{k}{n}\,\epsilon\,u\bigr)",
        use="Seeing how little happens along a direction that nobody chose.",
    )

    steps: int = setting(
        40, "Steps", "In how many steps the whole way is gone.", low=0, high=10_000, soft_high=300, main=True
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and one picture a step; see `Attack.search`."""
        yield Query(x, None)
        direction = self.draw(x, rng)
        for step in range(self.steps):
            yield Query(self.move(x, direction, self.epsilon * (step + 1) / self.steps), None)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps
