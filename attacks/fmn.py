"""Pintor et al.: Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints. https://arxiv.org/abs/2102.12827."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Evaluation, Query, Search
from attacks.ddn import annealed
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import wide
from attacks.toolkit.best_so_far import Smallest

Project = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class FMN(Attack):
    """Gradient steps within a ball that grows to the boundary, then shrinks inside the class aimed for and
    grows outside (algorithm 1), under any of four norms.

    Four things differ from the paper. Where pixels saturate the boundary is farther away than it takes for
    the first radius: each estimate falls short, and the picture creeps up to the boundary without ever
    crossing it. Here the radius grows each time at least by a fifth of the share by which it grows once
    the boundary was crossed. The linear approximation also says how far the boundary is when it lies behind:
    the ball shrinks to there, by half at most, where that is more than the paper's share; but in linf,
    where nothing is gained by it, by that share only. A step is
    brought to the nearest picture in box and ball at once, not in one after the other, which leaves some
    of the ball unused or takes back what saturated pixels had reached. And in l1, once the boundary was
    crossed, the first step's length is multiplied by how far the ball reaches by Euclid, where that is
    above 1, and the last stays as it is: the published length is too short to saturate a pixel.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="fmn",
        title="FMN",
        summary="The least change by any measure: a ball grows to the boundary, then shrinks upon it.",
        paper="Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints",
        url="https://arxiv.org/abs/2102.12827",
        year=2021,
        access="white-box",
        kind="minimal",
        rule=r"\delta_{k+1} = \Pi_{\|\cdot\|_p \le \epsilon_{k+1}}\bigl(\delta_k - "
        r"\alpha_k\,g_k/\|g_k\|\bigr),\qquad \epsilon_{k+1} = (1 \mp \gamma_k)\,\epsilon_k",
        use="The smallest change in whichever norm one asks for: l0, l1, l2 or linf.",
    )

    steps: int = setting(
        100, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    norm: str = setting(
        norms.L2.name,
        "Distance",
        "What is to be small: the number of changes (l0), their sum (l1), length (l2), or largest (linf).",
        choices=norms.names(norms.L2, norms.LINF, norms.L1, norms.L0),
        main=True,
    )
    step_size: float = setting(
        1.0,
        "First step",
        "The length of the first step; the last is a hundredth of it.",
        low=0.0001,
        high=1000,
        soft_high=10,
        step=0.05,
        unit="distance",
        main=True,
    )
    gamma: float = setting(
        0.05,
        "Change of radius",
        "By which share the ball shrinks or grows at first; in the end by a thousandth.",
        low=0.001,
        high=0.9,
        soft_high=0.3,
        step=0.005,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, one picture a step, and last the smallest change that fools; see `Attack.search`."""
        yield from self.walk(x, x, x.new_zeros(len(x)), Smallest(x), criterion, 0)

    def walk(
        self, x: Tensor, adv: Tensor, epsilon: Tensor, best: Smallest, criterion: Criterion, taken: int
    ) -> Search:
        """Yield ``adv``, where ``taken`` steps led, and the steps that are left; ``epsilon`` ``(n,)``: the
        radii."""
        size, objective = norms.SIZES[self.norm], criterion.margin if taken < self.steps else None
        answer = yield Query(adv, objective, (epsilon, best.adv, best.size))
        for step in range(taken, self.steps):
            progress, left = step / self.steps, self.steps - step - 1
            now, fooled = size(adv - x), criterion.met(answer.logits)
            # Balls of one radius come twice: of two pictures that rounding alone tells apart the first stays.
            best.see(adv, now, fooled & (now < best.size * (1 - 8 * torch.finfo(now.dtype).eps)))
            wanted = now + self.to_boundary(criterion, answer)
            epsilon = self.radius(epsilon, now, wanted, fooled, best, annealed(self.gamma, 0.001, progress))
            epsilon = torch.minimum(epsilon, size(torch.maximum(x, 1 - x)))
            length = wide(self.length(epsilon, best.found(), progress), x)
            adv = nearest(PROJECT[self.norm], x, adv + length * norms.L2.steepest(answer.gradient), epsilon)
            adv = adv if left else best.otherwise(adv)
            answer = yield Query(adv, criterion.margin if left else None, (epsilon, best.adv, best.size))

    def resumes(self) -> bool:
        """Say that it does."""
        return True

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> Search:
        """Walk on from radii and best pictures; see `Attack.resume`."""
        epsilon, *best = newest.memory
        yield from self.walk(x, newest.x, epsilon, Smallest(*best), criterion, taken)

    def to_boundary(self, criterion: Criterion, answer: Evaluation) -> Tensor:
        """Return ``(n,)``: how far the boundary of the linear approximation is; infinite where it is flat."""
        slope = norms.DISTANCES[self.norm].dual(answer.gradient)
        return (criterion.margin(answer.logits).abs() / slope).nan_to_num(math.inf, math.inf)

    def radius(
        self, epsilon: Tensor, now: Tensor, wanted: Tensor, fooled: Tensor, best: Smallest, gamma: float
    ) -> Tensor:
        """Return the next radii ``(n,)``: to the boundary, and where it was crossed already, around it.

        ``epsilon``: the last radii; ``now``: the perturbations' sizes; ``wanted``: those that would do,
        or where the boundary was crossed, as far beyond ``now`` as the boundary lies behind it.
        """
        less = epsilon * (1 - gamma)
        behind = less if self.norm == norms.LINF.name else torch.maximum(less / 2, 2 * now - wanted)
        inside = torch.minimum(torch.minimum(less, best.size), behind)
        last = torch.where(best.found(), epsilon, now)
        outside = last * (1 + torch.where(best.found(), gamma, gamma / 5))
        if self.norm == norms.L0.name:
            inside, outside, wanted = inside.floor(), torch.maximum(outside.floor(), last + 1), wanted.ceil()
        outside = torch.where(best.found(), outside, torch.maximum(outside, wanted))
        return torch.where(fooled, inside, outside)

    def length(self, epsilon: Tensor, crossed: Tensor, progress: float) -> Tensor:
        """Return how long a step is ``(n,)``, by Euclid: on a half cosine down to ``step_size / 100``.

        ``crossed``: the rows in which the boundary was. A ball of radius ``epsilon`` in l1 reaches as far as
        its root, as no value changes by more than 1.
        """
        longer = epsilon.sqrt().clamp(min=1) if self.norm == norms.L1.name else torch.ones_like(epsilon)
        share = annealed(1, 0, progress)
        return self.step_size * (share * torch.where(crossed, longer, 1) + (1 - share) / 100)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps


def nearest(project: Project, x: Tensor, adv: Tensor, epsilon: Tensor) -> Tensor:
    """Return the picture in [0, 1] that is nearest to ``adv`` within ``epsilon`` ``(n,)`` of ``x``, by the
    distance that ``project`` is for (`PROJECT`)."""
    delta, flat = (adv - x).flatten(1), x.flatten(1)
    room = norms.exact(torch.where(delta > 0, 1 - flat, flat))
    sizes = project(norms.exact(delta.abs()), room, norms.exact(epsilon)[:, None])
    return (flat + delta.sign() * sizes.to(x.dtype)).view_as(x).clamp(0, 1)


def _to_l0_ball(far: Tensor, room: Tensor, epsilon: Tensor) -> Tensor:
    ends = torch.minimum(far, room)
    order = (ends * (2 * far - ends)).argsort(1, descending=True)
    first = torch.arange(far.shape[1], device=far.device) < epsilon
    return ends * torch.zeros_like(first).scatter(1, order, first)


def _to_l1_ball(far: Tensor, room: Tensor, epsilon: Tensor) -> Tensor:
    # Duchi et al. 2008 with a box, as Croce and Hein 2021: all values shrink by one amount, and from their
    # room only. The size is linear in that amount between where a value vanishes and where one saturates.
    bends, order = torch.cat([far, (far - room).clamp(min=0)], 1).sort(1, descending=True)
    sign = torch.where(order < far.shape[1], 1, -1)
    count, total = sign.cumsum(1), (sign * bends).cumsum(1)
    last = (total - bends * count < epsilon).sum(1, keepdim=True).clamp(min=1) - 1
    shrink = (total.gather(1, last) - epsilon) / count.gather(1, last).clamp(min=1)
    return torch.minimum((far - shrink.clamp(min=0)).clamp(min=0), room)


def _to_l2_ball(far: Tensor, room: Tensor, epsilon: Tensor) -> Tensor:
    # All values shrink by one factor, and from their room only: those saturate longest whose room is least.
    ends = torch.minimum(far, room)
    bends, order = torch.where(far > 0, ends / far, 1).sort(1)
    full = ends.gather(1, order).square().cumsum(1)
    rest = far.gather(1, order).square().flip(1).cumsum(1).flip(1)
    full, rest = torch.nn.functional.pad(full, (1, 0)), torch.nn.functional.pad(rest, (0, 1))
    last = (full[:, :-1] + bends.square() * rest[:, :-1] <= epsilon.square()).sum(1, keepdim=True)
    left, free = epsilon.square() - full.gather(1, last), rest.gather(1, last)
    factor = torch.where(free > 0, (left / free).clamp(0, 1).sqrt(), 1)
    return torch.minimum(factor * far, ends)


def _to_linf_ball(far: Tensor, room: Tensor, epsilon: Tensor) -> Tensor:
    return torch.minimum(torch.minimum(far, room), epsilon)


PROJECT: dict[str, Project] = {
    norms.L0.name: _to_l0_ball,
    norms.L1.name: _to_l1_ball,
    norms.L2.name: _to_l2_ball,
    norms.LINF.name: _to_linf_ball,
}
"""For each norm what is kept of changes ``far`` ``(n, values)``, each at most ``room``, all ``epsilon``."""
