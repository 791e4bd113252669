"""Pintor et al.: Fast Minimum-norm Adversarial Attacks through Adaptive Norm Constraints. https://arxiv.org/abs/2102.12827."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks import norms
from attacks.core import Attack, AttackCard, Criterion, Evaluation, Query, Search, setting
from attacks.ddn import annealed
from attacks.rows import wide
from attacks.smallest import Smallest


@dataclass(frozen=True)
class FMN(Attack):
    """Gradient steps within a ball that grows to the boundary, then shrinks inside the class aimed for and
    grows outside (algorithm 1), under any of four norms.

    Two things differ from the paper, which reckons without the box. Where pixels saturate the boundary is
    farther away than it takes for the first radius: each estimate falls short, and the picture creeps up
    to the boundary without ever crossing it. Here the radius grows each time at least by a fifth of the
    share by which it grows once the boundary was crossed. And a step is kept in the box first, in the
    ball afterwards, so that the box does not eat up what the ball allows.
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
        "l2",
        "Distance",
        "What is to be small: the number of changes (l0), their sum (l1), length (l2), or largest (linf).",
        choices=("l2", "linf", "l1", "l0"),
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
        size, project = norms.SIZES[self.norm], PROJECT[self.norm]
        best, adv, epsilon = Smallest(x), x, x.new_zeros(len(x))
        answer = yield Query(x, criterion.margin if self.steps else None)
        for step in range(self.steps):
            progress, left = step / self.steps, self.steps - step - 1
            now, fooled = size(adv - x), criterion.met(answer.logits)
            best.see(adv, now, fooled)
            wanted = now + self.to_boundary(criterion, answer)
            epsilon = self.radius(epsilon, now, wanted, fooled, best, annealed(self.gamma, 0.001, progress))
            epsilon = torch.minimum(epsilon, size(torch.maximum(x, 1 - x)))
            length = annealed(self.step_size, self.step_size / 100, progress)
            adv = (adv + length * norms.L2.steepest(answer.gradient)).clamp(0, 1)
            adv = (x + project(adv - x, epsilon)).clamp(0, 1)
            adv = adv if left else best.otherwise(adv)
            answer = yield Query(adv, criterion.margin if left else None)

    def to_boundary(self, criterion: Criterion, answer: Evaluation) -> Tensor:
        """Return ``(n,)``: how far the boundary of the linear approximation is; infinite where it is flat."""
        slope = DUAL[self.norm](answer.gradient)
        return (criterion.margin(answer.logits).abs() / slope).nan_to_num(math.inf, math.inf)

    def radius(
        self, epsilon: Tensor, now: Tensor, wanted: Tensor, fooled: Tensor, best: Smallest, gamma: float
    ) -> Tensor:
        """Return the next radii ``(n,)``: to the boundary, and where it was crossed already, around it.

        ``epsilon``: the last radii; ``now``: the perturbations' sizes; ``wanted``: those that would do.
        """
        inside = torch.minimum(epsilon * (1 - gamma), best.size)
        last = torch.where(best.found(), epsilon, now)
        outside = last * (1 + torch.where(best.found(), gamma, gamma / 5))
        if self.norm == "l0":
            inside, outside, wanted = inside.floor(), torch.maximum(outside.floor(), last + 1), wanted.ceil()
        outside = torch.where(best.found(), outside, torch.maximum(outside, wanted))
        return torch.where(fooled, inside, outside)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps


def _to_l0_ball(delta: Tensor, epsilon: Tensor) -> Tensor:
    flat = delta.flatten(1)
    order = flat.abs().argsort(1, descending=True)
    first = torch.arange(flat.shape[1], device=flat.device) < epsilon[:, None]
    return (flat * torch.zeros_like(first).scatter(1, order, first)).view_as(delta)


def _to_l1_ball(delta: Tensor, epsilon: Tensor) -> Tensor:
    # Duchi et al. 2008, figure 1: all values shrink by one amount, found from their sorted sums.
    flat = delta.flatten(1)
    ordered = flat.abs().sort(1, descending=True).values
    places = torch.arange(1, flat.shape[1] + 1, device=flat.device)
    shrink = (ordered.cumsum(1) - epsilon[:, None]) / places
    last = (ordered > shrink).sum(1, keepdim=True).clamp(min=1) - 1
    shrunk = flat.sign() * (flat.abs() - shrink.gather(1, last).clamp(min=0)).clamp(min=0)
    return shrunk.view_as(delta)


def _to_l2_ball(delta: Tensor, epsilon: Tensor) -> Tensor:
    length = norms.l2(delta)
    return delta * wide(torch.where(length > epsilon, epsilon / length, 1), delta)


def _to_linf_ball(delta: Tensor, epsilon: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(delta, -wide(epsilon, delta)), wide(epsilon, delta))


PROJECT = {"l0": _to_l0_ball, "l1": _to_l1_ball, "l2": _to_l2_ball, "linf": _to_linf_ball}
"""For each norm the nearest perturbation ``(n, c, h, w)`` of size at most ``epsilon`` ``(n,)``."""

DUAL: dict[str, Callable[[Tensor], Tensor]] = {
    "l0": lambda grad: grad.flatten(1).abs().amax(1),
    "l1": norms.linf,
    "l2": norms.l2,
    "linf": norms.l1,
}
"""For each norm the slope ``(n,)`` of a gradient per unit of size; for l0 per value changed by all of 1."""
