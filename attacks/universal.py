"""Shafahi et al.: Universal Adversarial Training. https://arxiv.org/abs/1811.11304."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import Range, setting
from attacks.toolkit import norms


@dataclass(frozen=True)
class Universal(Attack):
    """One perturbation for a whole set of pictures: projected steps on the mean of their losses (section 4).

    No single loss counts for more than ``loss_cap`` (equation 4), or one picture that is fooled
    already would outweigh all others. The perturbation begins at zero; each picture is cut to [0, 1]. With
    one picture it is a plain budget attack.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="universal",
        title="Universal perturbation",
        summary="One and the same change, added to many pictures, that fools the network on most of them.",
        paper="Universal Adversarial Training",
        url="https://arxiv.org/abs/1811.11304",
        year=2018,
        access="white-box",
        kind="budget",
        rule=r"\delta \leftarrow \Pi_\epsilon\Bigl(\delta + \alpha\,\mathrm{sign}\,\nabla_\delta "
        r"\tfrac1n\sum_i \min\bigl(\ell(x_i + \delta),\,\beta\bigr)\Bigr)",
        use="A weakness of the network itself instead of one picture's: the same change works on many.",
    )
    joint: ClassVar[bool] = True

    epsilon: float = setting(
        None,
        "Largest change",
        "How large the perturbation may be: any single value (linf), or all of them together (l2).",
        by={
            norms.LINF.name: Range(10 / 255, 0, 1, 64 / 255, 0.25 / 255, "level"),
            norms.L2.name: Range(5, 0, 1000, 20, 0.05, "distance"),
        },
        main=True,
    )
    step_size: float = setting(
        None,
        "Step size",
        "How far one step moves, measured like the largest change.",
        by={
            norms.LINF.name: norms.LINF.facts.step_size,
            norms.L2.name: Range(0.5, 0, 1000, 5, 0.01, "distance"),
        },
        main=True,
    )
    steps: int = setting(
        60, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    norm: str = setting(
        norms.LINF.name,
        "Distance",
        "What counts as far: the largest change (linf) or its length (l2).",
        choices=norms.names(norms.LINF, norms.L2),
    )
    loss_cap: float = setting(
        9.0,
        "Loss cap",
        "Beyond which loss a picture counts no further.",
        low=0.01,
        high=1000,
        soft_high=20,
        step=0.5,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and, once a step, all pictures with the one perturbation; see `Attack.search`."""
        norm, shared = norms.get(self.norm), torch.zeros_like(x[:1])

        def capped(logits: Tensor) -> Tensor:
            return criterion.loss(logits).clamp(min=-self.loss_cap)

        answer = yield Query(x, capped if self.steps else None)
        for left in reversed(range(self.steps)):
            mean = answer.gradient.mean(0, keepdim=True)
            shared = shared - self.step_size * norm.steepest(mean)
            shared = norm.project(torch.zeros_like(shared), shared, self.epsilon)
            answer = yield Query((x + shared).clamp(0, 1), capped if left else None)

    def updates(self) -> int:
        """Return the number of steps."""
        return self.steps

    def bound(self) -> tuple[str, float]:
        """Return (norm, epsilon)."""
        return self.norm, self.epsilon
