"""Chen et al.: EAD: Elastic-Net Attacks to Deep Neural Networks. https://arxiv.org/abs/1709.04114."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from attacks.carlini_wagner import CarliniWagner
from attacks.contract import AttackCard, Criterion, Evaluation, Query
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import wide
from attacks.toolkit.best_so_far import Smallest
from attacks.toolkit.constant_search import Patience, shortfall


@dataclass(frozen=True)
class EAD(CarliniWagner):
    """Carlini and Wagner's attack with the elastic net for a distance: squared length plus beta times the
    sum of all changes (equation 7), which leaves most values exactly as they were.

    Each step goes down the smooth part, then moves every value back by beta (`shrink`, equation 5). FISTA
    (algorithm 1) takes the slope a little ahead of the picture shown; that point ahead is kept in [0, 1],
    where the paper has no limit, and is asked about together with the picture.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="ead",
        title="EAD (elastic net)",
        summary="Carlini & Wagner's attack with sparse changes: most values stay exactly as they were.",
        paper="EAD: Elastic-Net Attacks to Deep Neural Networks via Adversarial Examples",
        url="https://arxiv.org/abs/1709.04114",
        year=2017,
        access="white-box",
        kind="minimal",
        rule=r"\min_{x'}\ c\,f(x') + \|x' - x\|_2^2 + \beta\,\|x' - x\|_1",
        use="Changes that are small in sum: few pixels move, and most stay exactly as they were.",
    )
    beta: float = setting(
        0.001,
        "Sparseness beta",
        "What the sum of all changes weighs against their squared length.",
        low=0,
        high=1,
        soft_high=0.05,
        step=0.0005,
        main=True,
    )
    step_size: float = setting(
        0.01,
        "First step",
        "The first factor of the slope; it falls to 0 in the course of a round.",
        low=0.0001,
        high=1,
        soft_high=0.1,
        step=0.001,
    )
    initial_const: float = setting(
        1.0,
        "First weight c",
        "Resistance against distance, in the first round.",
        low=1e-6,
        high=1e6,
        soft_high=100,
    )
    rule: str = setting(
        "elastic",
        "Nearest by",
        "Which of the pictures that fool is kept: by the elastic net, or by the sum of changes alone.",
        choices=("elastic", norms.L1.name),
    )
    square: float = setting(
        1.0,
        "Weight of the squared length",
        "1: the paper's elastic net; 0: the sum of changes alone, which leaves fewer of them.",
        low=0,
        high=1,
    )
    method: str = setting(
        "fista", "Method", "With a look ahead (fista) or without (ista).", choices=("fista", "ista")
    )

    def descend(
        self, x: Tensor, criterion: Criterion, answer: Evaluation, c: Tensor, best: Smallest
    ) -> Generator[Query, Evaluation, tuple[Tensor, Tensor]]:
        """Minimise with the weights ``c`` ``(n,)``, from ``x`` and the ``answer`` to it; return the last
        pictures and which rows succeeded.
        """
        adv, ahead, success = x, x, self.enough(criterion, answer)
        patience = Patience(self.steps, not self.abort_early)
        for step in range(self.steps):
            here = answer.head(len(x))
            going = patience.left(
                self.elastic(adv - x) + c * shortfall(criterion, self.confidence, here.logits)
            )
            if not going.any():
                break
            slope = 2 * self.square * (ahead - x) + wide(c, x) * answer.gradient[-len(x) :]
            length = self.step_size * (1 - step / self.steps) ** 0.5
            moved = torch.where(wide(going, x), shrink(ahead - length * slope, x, self.beta), adv)
            lead = step / (step + 3) if self.method == "fista" else 0
            adv, ahead = moved, (moved + lead * (moved - adv)).clamp(0, 1)
            answer = yield self.question(adv, ahead, criterion, step == self.steps - 1)
            fooled = self.enough(criterion, answer.head(len(x)))
            best.see(adv, self.distance(adv - x), fooled)
            success = success | fooled
        return adv, success

    def images(self) -> int:
        """Return two a query where each looks ahead."""
        return (self.updates() + 1) * (2 if self.method == "fista" else 1)

    def question(self, adv: Tensor, ahead: Tensor, criterion: Criterion, last: bool) -> Query:
        """Return the query about ``adv`` and, where the slope will be needed, the points ``ahead`` of it."""
        if last:
            return Query(adv, None)
        if self.method == "ista":
            return Query(adv, partial(shortfall, criterion, self.confidence))
        return Query(torch.cat([adv, ahead]), partial(shortfall, criterion.repeat(2), self.confidence))

    def elastic(self, delta: Tensor) -> Tensor:
        """Return ``(n,)``: the squared length, by its weight, plus beta times the sum of all changes."""
        return self.square * norms.l2(delta) ** 2 + self.beta * norms.l1(delta)

    def distance(self, delta: Tensor) -> Tensor:
        """Return ``(n,)``: what the result is to have least of."""
        return norms.l1(delta) if self.rule == norms.L1.name else self.elastic(delta)


def shrink(z: Tensor, x: Tensor, beta: float) -> Tensor:
    """Return ``z`` moved towards ``x`` by ``beta`` in every value, no farther than to ``x``, in [0, 1]
    (equation 5).
    """
    delta = z - x
    return torch.where(delta.abs() > beta, (z - beta * delta.sign()).clamp(0, 1), x)
