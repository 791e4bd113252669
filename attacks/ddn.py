"""Rony et al.: Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial Attacks. https://arxiv.org/abs/1811.09600."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import wide
from attacks.toolkit.best_so_far import Smallest


@dataclass(frozen=True)
class DDN(Attack):
    """Gradient steps on the sphere of a radius that shrinks inside the class aimed for and grows outside
    (algorithm 1), so that direction and length of the perturbation never compete for one weight.

    After the sphere comes the box, as published. There the perturbation may fall short of the radius; in
    the next step the radius decides again, so where pixels saturate it grows until the others make up for
    them. Pictures are not rounded to 256 levels, which for a small perturbation is most of its length.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="ddn",
        title="DDN",
        summary="Walks on a sphere that shrinks while the network is fooled, and grows while it is not.",
        paper="Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial Attacks",
        url="https://arxiv.org/abs/1811.09600",
        year=2018,
        access="white-box",
        kind="minimal",
        rule=r"\delta_{k+1} = \epsilon_{k+1}\,\frac{\delta_k - \alpha_k\,g_k/\|g_k\|_2}{\|\delta_k "
        r"- \alpha_k\,g_k/\|g_k\|_2\|_2},\qquad \epsilon_{k+1} = (1 \mp \gamma)\,\epsilon_k",
        use="The smallest l2 change at a fixed, low cost; the one to prefer when there is time for one only.",
    )

    steps: int = setting(
        100, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    init_epsilon: float = setting(
        1.0,
        "First length",
        "The radius of the first sphere.",
        low=0.001,
        high=1000,
        soft_high=10,
        step=0.05,
        unit="distance",
        main=True,
    )
    gamma: float = setting(
        0.05,
        "Change of length",
        "By which share the radius shrinks or grows in a step.",
        low=0,
        high=0.9,
        soft_high=0.3,
        step=0.005,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, one picture a step, and last the shortest that fools; see `Attack.search`."""
        epsilon = x.new_full((len(x),), self.init_epsilon)
        yield from self.walk(x, x, epsilon, Smallest(x), criterion, 0)

    def walk(
        self, x: Tensor, adv: Tensor, epsilon: Tensor, best: Smallest, criterion: Criterion, taken: int
    ) -> Search:
        """Yield ``adv``, where ``taken`` steps led, and the steps that are left; ``epsilon`` ``(n,)``: the
        radii."""
        farthest = norms.l2(torch.maximum(x, 1 - x))
        objective = criterion.loss if taken < self.steps else None
        answer = yield Query(adv, objective, (epsilon, best.adv, best.size))
        for step in range(taken, self.steps):
            delta, fooled = adv - x, criterion.met(answer.logits)
            best.see(adv, norms.l2(delta), fooled)
            delta = delta - annealed(1.0, 0.01, step / self.steps) * norms.L2.steepest(answer.gradient)
            epsilon = epsilon * torch.where(fooled, 1 - self.gamma, 1 + self.gamma)
            epsilon = torch.minimum(epsilon, farthest)
            adv = (x + wide(epsilon, x) * norms.L2.steepest(delta)).clamp(0, 1)
            left = self.steps - step - 1
            adv = adv if left else best.otherwise(adv)
            answer = yield Query(adv, criterion.loss if left else None, (epsilon, best.adv, best.size))

    def resumes(self) -> bool:
        """Say that it does."""
        return True

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> Search:
        """Walk on from radii and best pictures; see `Attack.resume`."""
        epsilon, *best = newest.memory
        yield from self.walk(x, newest.x, epsilon, Smallest(*best), criterion, taken)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps


def annealed(first: float, last: float, progress: float) -> float:
    """Return the value at ``progress`` in [0, 1] on the half cosine from ``first`` to ``last``."""
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2
