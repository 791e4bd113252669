"""Dong et al.: Boosting Adversarial Attacks with Momentum. https://arxiv.org/abs/1710.06081."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.bim import BIM
from attacks.contract import AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import wide


@dataclass(frozen=True)
class MIFGSM(BIM):
    """BIM along an accumulated gradient, ``g = momentum g + grad / |grad|_1`` (equations 6 and 7).

    Before it is accumulated each gradient is brought to l1 size 1, so that steep places do not outweigh
    the others. Under "l2" it goes along ``g`` itself, at unit length. With a momentum of 0 this is BIM.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="mi_fgsm",
        title="MI-FGSM",
        summary="BIM with momentum: what it finds fools other networks more often.",
        paper="Boosting Adversarial Attacks with Momentum",
        url="https://arxiv.org/abs/1710.06081",
        year=2017,
        access="white-box",
        kind="budget",
        rule=r"g_{k+1} = \mu\,g_k + \frac{\nabla_x \ell(x_k)}{\|\nabla_x \ell(x_k)\|_1},\qquad "
        r"x_{k+1} = \Pi_{B_\epsilon(x)}\,\mathrm{clip}_{[0,1]}(x_k - \alpha\,\mathrm{sign}\,g_{k+1})",
        use="Pictures made on one network that are to fool others too.",
    )

    momentum: float = setting(
        1.0,
        "Momentum",
        "How much of the direction so far is kept: 0 for none, 1 for a plain sum.",
        low=0,
        high=2,
        step=0.05,
        main=True,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and one picture a step; see `Attack.search`."""
        yield from self.roll(x, x, torch.zeros_like(x), criterion, self.steps)

    def roll(self, x: Tensor, adv: Tensor, g: Tensor, criterion: Criterion, steps: int) -> Search:
        """Yield ``adv`` and so many steps from there on; ``g``: the gradients gathered before."""
        norm = norms.get(self.norm)
        answer = yield Query(adv, criterion.loss if steps else None, (g,))
        for left in reversed(range(steps)):
            g = self.momentum * g + share(answer.gradient)
            adv = norm.project(x, norm.ascent_step(adv, -g, self.step_size), self.epsilon)
            answer = yield Query(adv, criterion.loss if left else None, (g,))

    def resumes(self) -> bool:
        """Say that it does."""
        return True

    def resume(self, x: Tensor, newest: Query, criterion: Criterion, taken: int) -> Search:
        """Go on with the gradients gathered so far; see `Attack.resume`."""
        (g,) = newest.memory
        yield from self.roll(x, newest.x, g, criterion, self.steps - taken)


def share(grad: Tensor) -> Tensor:
    """Return each row of ``grad`` divided by the sum of its sizes; a row of zeros stays as it is."""
    size = wide(norms.l1(grad), grad)
    return grad / torch.where(size > 0, size, 1)
