"""Brendel, Rauber, Bethge: Decision-Based Adversarial Attacks. https://arxiv.org/abs/1712.04248."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.decision_based import AT_ONCE, ROUNDS, Path, follow, start, to_boundary


@dataclass(frozen=True)
class Boundary(Attack):
    """A random walk along the boundary, from a picture of another class towards the original (figure 2).

    Each step draws directions at once; each is tried sideways alone, on the sphere around the original,
    and then also a little inwards. The length of the sideways step is adapted so that half of them still
    fool, that of the step inwards so that a quarter of those do (section 2.3). A query shows where the walk
    stands; the last one shows the nearest picture that fooled.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="boundary",
        title="Boundary Attack",
        summary="Begin at a picture that fools, and wander towards the original on the safe side.",
        paper="Decision-Based Adversarial Attacks: Reliable Attacks Against Black-Box Models",
        url="https://arxiv.org/abs/1712.04248",
        year=2017,
        access="decision-based",
        kind="minimal",
        rule=r"x_{k+1} = x_k + \eta_\perp + \varepsilon\,(x - x_k)\ \text{ if it still fools},\qquad "
        r"\eta_\perp \perp x - x_k",
        use="A network that gives its answer and nothing else; slow, and hard to hide from.",
    )

    steps: int = setting(
        400,
        "Steps",
        "How often directions are tried.",
        low=0,
        high=10_000,
        soft_high=2000,
        main=True,
    )
    sideways: float = setting(
        0.1,
        "Sideways",
        "The first step along the sphere, as a share of the distance.",
        low=1e-6,
        high=1,
        step=0.01,
    )
    inwards: float = setting(
        0.1,
        "Inwards",
        "The first step towards the original, as a share of the distance.",
        low=1e-6,
        high=1,
        step=0.01,
    )
    adaptation: float = setting(
        1.5,
        "Adaptation",
        "By how much both lengths grow or shrink, at most, in a step.",
        low=1,
        high=10,
        step=0.1,
    )
    directions: int = setting(
        8, "Directions", "How many directions a step tries, two queries each.", low=1, high=16
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, starts, each place of the walk beside candidates, and the nearest picture."""
        yield from follow(self.path, x, criterion, rng, norms.l2, self.steps)

    def path(self, x: Tensor, rng: torch.Generator) -> Path:
        """Walk on and on around ``x`` ``(1, c, h, w)``."""
        begin = yield from start(x, rng)
        adv = yield from to_boundary(lambda t: x + t * (begin - x), 0.01)
        sideways, inwards = self.sideways, self.inwards
        while True:
            around = self.around(x, adv, sideways, rng)
            closer = around + inwards * (x - around)
            met = (yield torch.cat([adv, around, closer]))[1:].view(2, -1)
            if met[1].any():
                adv = closer[met[1]][:1]
            sideways = min(sideways * self.adaptation ** (2 * met[0].float().mean().item() - 1), 1)
            if met[0].any():
                share = met[1][met[0]].float().mean().item()
                inwards = min(inwards * self.adaptation ** (2 * share - 0.5), 1)

    def around(self, x: Tensor, adv: Tensor, sideways: float, rng: torch.Generator) -> Tensor:
        """Return ``(directions, c, h, w)`` pictures beside ``adv``, as far from ``x`` as it is."""
        noise = torch.randn((self.directions, *x.shape[1:]), generator=rng, dtype=x.dtype).to(x.device)
        away = norms.L2.steepest(adv - x)
        tangent = norms.L2.steepest(noise - (noise * away).flatten(1).sum(1)[:, None, None, None] * away)
        return (x + norms.l2(adv - x) * norms.L2.steepest(away + sideways * tangent)).clamp(0, 1)

    def updates(self) -> int:
        """Return the number of steps, and one for the nearest picture."""
        return self.steps + (self.steps > 0)

    def images(self) -> int:
        """Return two a direction and step; where the walk begins as many as fit into a query."""
        begin = min(self.steps, ROUNDS + 3)
        return 2 + begin * (AT_ONCE + 1) + (self.steps - begin) * (2 * self.directions + 1)

    def stochastic(self) -> bool:
        """Say yes: it is a random walk."""
        return True
