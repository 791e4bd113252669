"""Lin et al.: Nesterov Accelerated Gradient and Scale Invariance for Adversarial Attacks. https://arxiv.org/abs/1908.06281."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import AttackCard, Criterion, Evaluation, Query, Search
from attacks.mi_fgsm import MIFGSM, share
from attacks.toolkit import norms


@dataclass(frozen=True)
class NIFGSM(MIFGSM):
    """MI-FGSM that takes its gradient where the momentum is about to carry it (equations 6 to 8).

    The point ahead, ``adv + step_size momentum g``, is a probe beside the step's picture; as in the
    authors' code it may leave the budget and [0, 1], which the pictures never do, and ``g`` accumulates
    gradients whose *mean* size is 1 (with the paper's sum the point ahead would be no distance away).
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="ni_fgsm",
        title="NI-FGSM",
        summary="Momentum that looks ahead: the gradient of where the next step is about to land.",
        paper="Nesterov Accelerated Gradient and Scale Invariance for Adversarial Attacks",
        url="https://arxiv.org/abs/1908.06281",
        year=2019,
        access="white-box",
        kind="budget",
        rule=r"g_{k+1} = \mu\,g_k + \frac{\nabla_x \ell(x_k - \alpha\mu\,g_k)}{\|\nabla_x \ell(x_k - "
        r"\alpha\mu\,g_k)\|_1},\qquad x_{k+1} = x_k - \alpha\,\mathrm{sign}\,g_{k+1}",
        use="Transfer to other networks, with a correction before the momentum runs too far.",
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and one picture a step, with the point ahead as its probe; see `Attack.search`."""
        g = torch.zeros_like(x)
        answer = yield Query(x, criterion.loss if self.steps else None)
        if self.steps:
            adv, g = self.moved(x, x, g, answer)
            yield from self.roll(x, adv, g, criterion, self.steps - 1)

    def roll(self, x: Tensor, adv: Tensor, g: Tensor, criterion: Criterion, steps: int) -> Search:
        """Yield ``adv`` and so many steps from there on; ``g``: the gradients gathered before."""
        for _ in range(steps):
            ahead = adv - self.step_size * self.momentum * g
            answer = yield Query(torch.cat([adv, ahead]), criterion.repeat(2).loss, (g,))
            adv, g = self.moved(x, adv, g, answer)
        yield Query(adv, None)

    def moved(self, x: Tensor, adv: Tensor, g: Tensor, answer: Evaluation) -> tuple[Tensor, Tensor]:
        """Return the next pictures and the gradients gathered, with that at the point ahead."""
        norm = norms.get(self.norm)
        g = self.momentum * g + share(answer.gradient[-len(x) :]) * x[0].numel()
        return norm.project(x, norm.ascent_step(adv, -g, self.step_size), self.epsilon), g

    def images(self) -> int:
        """Return two a step."""
        return 2 * self.updates() + 1
