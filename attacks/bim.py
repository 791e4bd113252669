"""Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World. https://arxiv.org/abs/1607.02533."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Evaluation, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms

Descent = Generator[Query, Evaluation, tuple[Tensor, Tensor]]


def budget() -> Any:
    """Declare the field ``epsilon`` of an attack that keeps to a ball of any norm."""
    return setting(
        None,
        "Largest change",
        "How far the picture may move in all: any single value (linf), or all of them together (l2, l1).",
        by=norms.budgets(),
        main=True,
    )


@dataclass(frozen=True)
class BIM(Attack):
    """Many small steps along the sign of the gradient, each followed by a clip (equation 2).

    Also known as I-FGSM. Under "l2" the step goes along the gradient itself, at unit length; under "l1"
    it goes to the few values with the largest gradient, each as far as [0, 1] lets it (`norms.L1`).
    The default number of steps is the paper's min(epsilon + 4, 1.25 epsilon) at 8 levels.
    After a step the picture is clamped to [0, 1] and then projected into the ball.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="bim",
        title="BIM (I-FGSM)",
        summary="FGSM in many small steps, so that it follows the network's curves.",
        paper="Adversarial Examples in the Physical World",
        url="https://arxiv.org/abs/1607.02533",
        year=2016,
        access="white-box",
        kind="budget",
        rule=r"x_{k+1} = \Pi_{B_\epsilon(x)}\,\mathrm{clip}_{[0,1]}"
        r"\bigl(x_k - \alpha\,\mathrm{sign}\,\nabla_x \ell(x_k)\bigr)",
        use="Watching a decision tip step by step; with a small step the picture changes invisibly.",
    )

    epsilon: float = budget()
    step_size: float = setting(
        None,
        "Step size",
        "How far one step moves, measured like the largest change.",
        by=norms.step_sizes(),
        main=True,
    )
    steps: int = setting(
        10, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    norm: str = setting(
        norms.LINF.name,
        "Distance",
        "What counts as far: the largest change (linf), the length of all (l2) or their sum (l1).",
        choices=tuple(norms.NORMS),
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and one picture a step; see `Attack.search`."""
        yield from self.descend(x, x, criterion)

    def descend(self, x: Tensor, adv: Tensor, criterion: Criterion) -> Descent:
        """Follow the gradient from ``adv`` within the budget around ``x``; return the last picture and
        its logits."""
        norm = norms.get(self.norm)
        answer = yield Query(adv, criterion.loss if self.steps else None)
        for left in reversed(range(self.steps)):
            adv = norm.ascent_step(adv, -answer.gradient, self.step_size)
            adv = norm.project(x, adv, self.epsilon)
            answer = yield Query(adv, criterion.loss if left else None)
        return adv, answer.logits

    def resumes(self) -> bool:
        """Say that it does; attacks that are made of this one have more to remember."""
        return type(self).search is BIM.search

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> Search:
        """Follow the gradient from ``newest`` for the steps that are left; see `Attack.resume`."""
        yield from replace(self, steps=self.updates() - taken).descend(x, newest.x, criterion)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps

    def bound(self) -> tuple[str, float]:
        """Return (norm, epsilon)."""
        return self.norm, self.epsilon
