"""Moosavi-Dezfooli, Fawzi, Frossard: DeepFool. https://arxiv.org/abs/1511.04599."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Objective, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import wide

STABILITY = 1e-4
"""What the authors' program adds to each distance, so that a step near the boundary gets somewhere."""


@dataclass(frozen=True)
class DeepFool(Attack):
    """Straight to the nearest boundary of the network's linear approximation, again and again (algorithm 2).

    One step asks about the picture once for each candidate class, so that all their gradients come
    together. The candidates are the likeliest classes of the untouched picture, as in section 3.3. The
    paper knows no target; aimed at a class, that class against the strongest other is the one candidate.
    As in the authors' program the picture asked about is overshot already, and kept in [0, 1]. That pulls
    back as much as it overshoots, and creeps up to the boundary; overshooting each step gets there in
    fewer and ends a little nearer.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="deepfool",
        title="DeepFool",
        summary="Takes the network for linear, steps over the nearest boundary, and looks again.",
        paper="DeepFool: a simple and accurate method to fool deep neural networks",
        url="https://arxiv.org/abs/1511.04599",
        year=2015,
        access="white-box",
        kind="minimal",
        rule=r"r_k = \frac{|f_l(x_k)|}{\|\nabla f_l(x_k)\|_2^2}\,\nabla f_l(x_k),\quad l = "
        r"\arg\min_j \frac{|f_j(x_k)|}{\|\nabla f_j(x_k)\|_2},\qquad x' = x + "
        r"(1+\eta)\textstyle\sum_k r_k",
        use="Measuring in a handful of steps about how far the nearest other answer is.",
    )
    ends: ClassVar[str] = "every picture is fooled"

    steps: int = setting(
        50, "Steps", "How often the boundary is looked for.", low=0, high=1000, soft_high=100, main=True
    )
    candidates: int = setting(
        10,
        "Classes considered",
        "Among how many of the likeliest classes, the picture's own included, the nearest is looked for.",
        low=2,
        high=33,
        main=True,
    )
    overshoot: float = setting(
        0.02,
        "Overshoot",
        "How far beyond the boundary to go, as a share of the way.",
        low=0,
        high=10,
        soft_high=0.5,
        step=0.005,
    )
    each_step: bool = setting(
        False,
        "Overshoot each step",
        "Overshoot every step from the picture before; off, as in the authors' program, the whole way.",
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, then ``x`` and one picture a step, each once per candidate; see `Attack.search`."""
        answer = yield Query(x, None)
        if not self.steps:
            return
        times, lead = self.candidate_leads(criterion, answer.logits)
        adv, total = x, torch.zeros_like(x)
        for _ in range(self.steps):
            answer = yield Query(copies(adv, times), lead)
            fooled = criterion.met(answer.logits[: len(x)])
            if fooled.all():
                break
            step = to_nearest(lead(answer.logits), answer.gradient, len(x))
            total = total + step
            start, change = (adv, step) if self.each_step else (x, total)
            onward = (start + (1 + self.overshoot) * change).clamp(0, 1)
            adv = torch.where(wide(fooled, x), adv, onward)
        yield Query(adv, None)

    def candidate_leads(self, criterion: Criterion, logits: Tensor) -> tuple[int, Objective]:
        """Return how many candidates there are, given the untouched pictures' ``logits``, and by how much
        they lead over the label, as an objective for so many copies of each picture.
        """
        if criterion.targeted:
            return 1, criterion.margin
        others = logits.scatter(1, criterion.label[:, None].to(logits.device), -math.inf)
        times = min(self.candidates, logits.shape[1]) - 1
        rivals = others.topk(times).indices.T.flatten()
        return times, partial(leads, rivals, criterion.repeat(times).label)

    def updates(self) -> int:
        """Return the number of steps, and one for the picture found."""
        return self.steps + 1 if self.steps else 0

    def images(self) -> int:
        """Return one for each candidate a step, and the first and the last."""
        return self.steps * (self.candidates - 1) + 2

    def images_towards(self, targeted: bool) -> int:
        """Return one a step where the target is the one candidate."""
        return self.steps + 2 if targeted else self.images()

    def looks(self) -> int:
        """Return the first and the last."""
        return min(2, self.updates() + 1)


def copies(x: Tensor, times: int) -> Tensor:
    """Return ``x`` ``(n, c, h, w)`` ``times`` over: row i + j n is picture i."""
    return x.repeat(times, *[1] * (x.dim() - 1))


def leads(rivals: Tensor, own: Tensor, logits: Tensor) -> Tensor:
    """Return ``(m,)``: by how much the logits of ``rivals`` ``(m,)`` exceed those of ``own`` ``(m,)``."""
    pair = [logits.gather(1, label[:, None].to(logits.device))[:, 0] for label in (rivals, own)]
    return pair[0] - pair[1]


def to_nearest(lead: Tensor, grad: Tensor, n: int) -> Tensor:
    """Return the way ``(n, c, h, w)`` to the nearest of the boundaries whose ``lead`` ``(k n,)`` has the
    gradient ``grad`` ``(k n, c, h, w)`` (equation 8 and 9). A flat lead has no boundary.
    """
    distance = (lead.abs() / norms.l2(grad)).nan_to_num(math.inf, math.inf).view(-1, n)
    near, candidate = distance.min(0)
    row = candidate * n + torch.arange(n, device=grad.device)
    corner = math.sqrt(grad[0].numel())  # no picture is farther
    return wide(near.clamp(max=corner) + STABILITY, grad[:n]) * norms.L2.steepest(grad[row])
