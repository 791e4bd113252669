"""Chen, Jordan, Wainwright: HopSkipJumpAttack, a Query-Efficient Decision-Based Attack. https://arxiv.org/abs/1904.02144."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.decision_based import AT_ONCE, Asking, Path, follow, start, to_boundary


@dataclass(frozen=True)
class HopSkipJump(Attack):
    """Stand on the boundary, guess its slope from decisions nearby, jump, and come back to it (algorithm 2).

    Round t guesses the slope from ``estimates`` times the root of t random directions (section 3.3),
    jumps by the distance over the root of t, halved until the picture fools, and returns along the line
    to the original. One query asks about 32 pictures at most, so a round takes several. A query shows where
    the search stands; the last one shows the nearest picture that fooled.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="hop_skip_jump",
        title="HopSkipJump",
        summary="Feel out the boundary's slope from yes-or-no answers alone, jump, and return to it.",
        paper="HopSkipJumpAttack: A Query-Efficient Decision-Based Attack",
        url="https://arxiv.org/abs/1904.02144",
        year=2019,
        access="decision-based",
        kind="minimal",
        rule=r"x_{t+1} = \mathrm{bisect}\Bigl(x,\ x_t + \xi_t\,\tfrac{v_t}{\lVert v_t\rVert}\Bigr),\qquad "
        r"v_t = \tfrac1B\sum_b \bigl(\phi(x_t + \delta u_b) - \bar\phi\bigr)\,u_b",
        use="The smallest change from yes-or-no answers alone, in fewer queries than a random walk.",
    )

    steps: int = setting(
        300,
        "Steps",
        "How many questions of up to 33 pictures each are asked.",
        low=0,
        high=10_000,
        soft_high=2000,
        main=True,
    )
    norm: str = setting(
        norms.L2.name,
        "Distance",
        "Which distance is made small: the length of the change (l2) or its largest value (linf).",
        choices=norms.names(norms.L2, norms.LINF),
        main=True,
    )
    estimates: int = setting(
        100,
        "Estimates",
        "From how many random directions the first slope is guessed.",
        low=1,
        high=10_000,
        soft_high=400,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, starts, each place beside probes around it, and the nearest picture."""
        yield from follow(self.path, x, criterion, rng, norms.SIZES[self.norm], self.steps)

    def path(self, x: Tensor, rng: torch.Generator) -> Path:
        """Hop along the boundary around ``x`` ``(1, c, h, w)``, on and on."""
        size, values = norms.SIZES[self.norm], x[0].numel()
        power = 1.5 if self.norm == norms.L2.name else 2.0
        # Below a millionth, float32 can no longer tell the pictures of a photo apart.
        tolerance = max(values**-power, 1e-6)
        begin = yield from start(x, rng)
        adv = yield from self.back(x, begin, tolerance)
        for t in itertools.count(1):
            distance = float(size(adv - x))
            radius = values ** (power - 1) * tolerance * distance
            count = round(self.estimates * math.sqrt(t))
            slope = yield from self.slope(adv, radius, count, rng)
            there = yield from jump(adv, norms.get(self.norm).steepest(slope), distance / math.sqrt(t))
            adv = yield from self.back(x, there, tolerance)

    def back(self, x: Tensor, adv: Tensor, tolerance: float) -> Asking:
        """Return from ``adv`` to the boundary: straight towards ``x`` (l2), or by clipping more (linf)."""
        change = adv - x
        if self.norm == norms.L2.name:
            return (yield from to_boundary(lambda t: x + t * change, tolerance))
        largest = float(norms.linf(change))
        return (yield from to_boundary(lambda t: x + change.clamp(-t * largest, t * largest), tolerance))

    def slope(self, adv: Tensor, radius: float, count: int, rng: torch.Generator) -> Asking:
        """Return the direction in which pictures near ``adv`` fool, guessed as in equation 16."""
        fooled, total, sums = 0, torch.zeros_like(adv), torch.zeros_like(adv)
        for done in range(0, count, AT_ONCE):
            near = (adv + radius * self.directions(adv, min(AT_ONCE, count - done), rng)).clamp(0, 1)
            met = (yield torch.cat([adv, near]))[1:]
            steps = near - adv
            fooled += int(met.sum())
            total = total + steps.sum(0, keepdim=True)
            sums = sums + steps[met].sum(0, keepdim=True)
        # The sum over all of (decision - its mean) times direction; where all agree, there is no contrast.
        if fooled in (0, count):
            return total if fooled else -total
        return sums - fooled / count * total

    def directions(self, adv: Tensor, count: int, rng: torch.Generator) -> Tensor:
        """Return random directions ``(count, c, h, w)`` of Euclidean length 1."""
        shape = (count, *adv.shape[1:])
        if self.norm == norms.L2.name:
            noise = torch.randn(shape, generator=rng, dtype=adv.dtype)
        else:
            noise = 2 * torch.rand(shape, generator=rng, dtype=adv.dtype) - 1
        return norms.L2.steepest(noise.to(adv.device))

    def updates(self) -> int:
        """Return the number of questions, and one for the nearest picture."""
        return self.steps + (self.steps > 0)

    def images(self) -> int:
        """Return the first and the last, and for each step as many as fit into a query."""
        return self.steps * (AT_ONCE + 1) + 2

    def stochastic(self) -> bool:
        """Say yes: slopes are guessed from random directions."""
        return True


def jump(adv: Tensor, direction: Tensor, step: float) -> Asking:
    """Return ``adv`` moved along ``direction`` by ``step``, halved until the picture fools (section 3.4).

    Eight lengths are tried at once; after 24 halvings it stays where it is.
    """
    for first in (0, 8, 16):
        tried = torch.cat([(adv + step / 2**k * direction).clamp(0, 1) for k in range(first, first + 8)])
        met = (yield torch.cat([adv, tried]))[1:]
        if met.any():
            best = int(met.nonzero()[0])
            return tried[best : best + 1]
    return adv
