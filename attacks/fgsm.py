"""Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples. https://arxiv.org/abs/1412.6572."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.settings import setting
from attacks.toolkit.norms import LINF


@dataclass(frozen=True)
class FGSM(Attack):
    """One step of ``epsilon`` along the sign of the gradient (section 4 of the paper), kept in [0, 1].

    Were the network linear, no picture within ``epsilon`` per value would be better.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="fgsm",
        title="FGSM",
        summary="One step along the sign of the gradient, every value by the same amount.",
        paper="Explaining and Harnessing Adversarial Examples",
        url="https://arxiv.org/abs/1412.6572",
        year=2014,
        access="white-box",
        kind="budget",
        rule=r"x' = \mathrm{clip}_{[0,1]}\bigl(x - \epsilon\,\mathrm{sign}\,\nabla_x \ell(x)\bigr)",
        use="Seeing at a glance that a network is nearly linear around a picture; a weak test of robustness.",
    )

    epsilon: float = setting(
        8 / 255,
        "Largest change",
        "How far any value of the picture moves.",
        low=0,
        high=1,
        soft_high=64 / 255,
        step=0.25 / 255,
        unit="level",
        main=True,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x`` and the stepped picture; see `Attack.search`."""
        answer = yield Query(x, criterion.loss)
        adv = x - self.epsilon * answer.gradient.sign()
        yield Query(adv.clamp(0, 1), None)

    def updates(self) -> int:
        """Return 1."""
        return 1

    def bound(self) -> tuple[str, float]:
        """Return ("linf", epsilon)."""
        return LINF.name, self.epsilon
