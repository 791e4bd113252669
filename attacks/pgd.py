"""Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks. https://arxiv.org/abs/1706.06083."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.bim import BIM
from attacks.contract import AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import choose


@dataclass(frozen=True)
class PGD(BIM):
    """Projected gradient descent on the loss, from a random point of the ball (section 2.1).

    The random start is off unless asked for, so that a run begins at the person's own picture; without
    it this is BIM. With no steps it stays at the untouched picture.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="pgd",
        title="PGD",
        summary="BIM with more steps, from a random start if wanted: the standard test of robustness.",
        paper="Towards Deep Learning Models Resistant to Adversarial Attacks",
        url="https://arxiv.org/abs/1706.06083",
        year=2017,
        access="white-box",
        kind="budget",
        rule=r"x_0 \sim B_\epsilon(x),\quad x_{k+1} = \Pi_{B_\epsilon(x)}\,\mathrm{clip}_{[0,1]}"
        r"\bigl(x_k - \alpha\,\arg\max_{\|v\|\le 1} v^{\top}\nabla_x \ell(x_k)\bigr)",
        use="The first attack to try, and the one that adversarial training uses; restarts make it a test.",
    )

    steps: int = setting(
        40, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    random_start: bool = setting(
        False, "Random start", "Begin at a random picture within the largest change; the seed decides which."
    )

    restarts: int = setting(
        1,
        "Attempts",
        "How often to begin anew, at a random picture; the best end counts.",
        low=1,
        high=100,
        soft_high=20,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, the random start if one is wanted, and one picture a step; with more attempts than
        one theirs too, and at last the end of the best (per row the highest margin). See `Attack.search`.
        """
        start, norm = x, norms.get(self.norm)
        if self._jumps():
            yield Query(x, None)
            start = norm.random_start(x, self.epsilon, rng)
        best, logits = yield from self.descend(x, start, criterion)
        for _ in range(self._further()):
            adv, new_logits = yield from self.descend(x, norm.random_start(x, self.epsilon, rng), criterion)
            better = criterion.margin(new_logits) > criterion.margin(logits)
            best, logits = choose(better, adv, best), torch.where(better[:, None], new_logits, logits)
        if self._further():
            yield Query(best, None)

    def resumes(self) -> bool:
        """Say that one attempt does."""
        return not self._further()

    def updates(self) -> int:
        """Return the number of steps and of jumps to a random start; with more attempts than one, also
        the return to the best."""
        further = self._further()
        return self.steps + self._jumps() + further * (self.steps + 1) + bool(further)

    def stochastic(self) -> bool:
        """Say whether there is a random start."""
        return self.random_start or self.restarts > 1

    def _jumps(self) -> bool:
        return self.random_start and self.steps > 0

    def _further(self) -> int:
        return self.restarts - 1 if self.steps else 0
