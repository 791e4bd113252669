"""Papernot et al.: The Limitations of Deep Learning in Adversarial Settings. https://arxiv.org/abs/1511.07528."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, ReasonedSearch
from attacks.settings import setting

ALL_RAISED = "no value can rise any further"
ALL_LOWERED = "no value can fall any further"
SHARE_SPENT = "no further value may change"
NO_PAIR = "no pair of values helps any more"
NO_CHANGE = "a change of 0 moves nothing"


@dataclass(frozen=True)
class JSMA(Attack):
    """The Jacobian-based saliency map: at every step the two values that raise the target most and
    the other classes least are moved by ``theta`` (algorithms 2 and 3, equations 8 to 10).

    Derivatives are those of the logits, as in the paper. A step asks about each picture twice: once
    for the target's gradient, once for that of the sum of the others. Values at the end of the
    scale leave the search domain. Untargeted, the target is whichever other class is ahead at the
    time. Where no pair has a positive saliency the pair that raises the target most against the
    others is taken; a row for which there is none stays as it is.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="jsma",
        title="JSMA",
        summary="Change very few values, but all the way: two at a time, chosen by a saliency map.",
        paper="The Limitations of Deep Learning in Adversarial Settings",
        url="https://arxiv.org/abs/1511.07528",
        year=2015,
        access="white-box",
        kind="minimal",
        rule=r"\arg\max_{p \ne q}\ \Bigl(\sum_{i=p,q} \tfrac{\partial z_t}{\partial x_i}\Bigr)"
        r"\Bigl|\sum_{i=p,q} \sum_{j \ne t} \tfrac{\partial z_j}{\partial x_i}\Bigr|,\qquad "
        r"x_p, x_q \leftarrow x_p + \theta, x_q + \theta",
        use="Few pixels, changed all the way: what a scratch or a speck could do.",
    )
    ends: ClassVar[str] = "every picture is fooled, or may change no more"
    dead_ends: ClassVar[Mapping[str, str]] = {
        ALL_RAISED: "Every value is at the top of the scale already, and the attack only raises values: more "
        "steps cannot help. A negative change (theta) darkens them instead.",
        ALL_LOWERED: "Every value is at the bottom of the scale already, and the attack only lowers values: "
        "more steps cannot help. A positive change (theta) brightens them instead.",
        SHARE_SPENT: "As many values have changed as the share of values (gamma) allows, and those have gone "
        "all the way: a larger share lets the attack go on, more steps do not.",
        NO_PAIR: "By the gradient no two values that may move bring the network nearer to the goal: more "
        "steps cannot help, another goal, another change (theta) or another attack may.",
        NO_CHANGE: "The change (theta) is 0: any other value lets the attack begin.",
    }

    theta: float = setting(
        1.0,
        "Change",
        "How far a chosen value is moved; negative: darkened.",
        low=-1,
        high=1,
        step=0.05,
        main=True,
    )
    gamma: float = setting(
        0.145,
        "Share of values",
        "How many of all values may change.",
        low=0,
        high=1,
        soft_high=0.5,
        step=0.005,
        main=True,
    )
    others: bool = setting(
        True,
        "Mind the other classes",
        "Whether a pair should also lower the other classes, as in the paper; without, one gradient will do.",
    )
    steps: int = setting(
        100, "Steps", "How many pairs are chosen at most.", low=0, high=10_000, soft_high=500, main=True
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> ReasonedSearch:
        """Yield ``x`` and one picture a pair, once for each gradient that is wanted; return the dead end in
        which every row is, if it is one and the same. See `Attack.search`."""
        if not self.steps:
            yield Query(x, None)
            return None
        forward = partial(derivatives if self.others else target, criterion)
        copies = (2 if self.others else 1, *[1] * (x.dim() - 1))
        adv, going = x, torch.ones(len(x), dtype=torch.bool, device=x.device)
        obstacles: set[str] = set()
        for _ in range(self.steps):
            answer = yield Query(adv.repeat(copies), forward)
            going = going & ~criterion.met(answer.head(len(x)).logits)
            before, adv = adv, self.move(x, adv, answer.gradient, going)
            moved = (adv != before).flatten(1).any(1)
            obstacles |= {
                self.obstacle(x[row], adv[row]) for row in (going & ~moved).nonzero()[:, 0].tolist()
            }
            going = going & moved
            if not going.any():
                break
        last = yield Query(adv, None)
        stuck = len(obstacles) == 1 and not going.any() and not criterion.met(last.logits).any()
        return obstacles.pop() if stuck else None

    def obstacle(self, x: Tensor, adv: Tensor) -> str:
        """Return why no pair of values of ``adv`` ``(c, h, w)`` could be moved, a key of `dead_ends`."""
        if not self.theta:
            return NO_CHANGE
        if not ((adv < 1) if self.theta > 0 else (adv > 0)).any():
            return ALL_RAISED if self.theta > 0 else ALL_LOWERED
        return NO_PAIR if self.domain(x[None], adv[None]).any() else SHARE_SPENT

    def updates(self) -> int:
        """Return the largest number of pairs."""
        return self.steps

    def images(self) -> int:
        """Return two a pair where the other classes are minded, and the last."""
        return self.steps * (2 if self.others else 1) + 1

    def move(self, x: Tensor, adv: Tensor, grad: Tensor, going: Tensor) -> Tensor:
        """Return ``adv`` with the most salient pair of values of each row that is ``going`` moved by theta.

        ``grad``: the gradients of the target, then those of the sum of the others if these are minded.
        """
        sign = 1 if self.theta > 0 else -1
        up = (sign * grad[: len(x)]).flatten(1)
        down = (-sign * grad[len(x) :]).flatten(1) if self.others else torch.zeros_like(up)
        pair, possible = best_pair(up, down, self.domain(x, adv) & ((up != 0) | (down != 0)))
        change = torch.zeros_like(up).scatter(1, pair, self.theta)
        change = torch.where((possible & going)[:, None], change, 0)
        return (adv + change.view_as(adv)).clamp(0, 1)

    def domain(self, x: Tensor, adv: Tensor) -> Tensor:
        """Return the values ``(n, d)`` that may be moved: not at the end of the scale, and, once as many
        as ``gamma`` allows have been, none but those.
        """
        flat = adv.flatten(1)
        changed = flat != x.flatten(1)
        spare = changed.sum(1, keepdim=True) + 2 <= self.gamma * flat.shape[1]
        return ((flat < 1) if self.theta > 0 else (flat > 0)) & (changed | spare)


def target(criterion: Criterion, logits: Tensor) -> Tensor:
    """Return ``(n,)``: the target's logits. Untargeted: of the class ahead, the one to leave aside."""
    goal = criterion.label[:, None].to(logits.device)
    if not criterion.targeted:
        goal = logits.detach().scatter(1, goal, -torch.inf).argmax(1, keepdim=True)
    return logits.gather(1, goal)[:, 0]


def derivatives(criterion: Criterion, logits: Tensor) -> Tensor:
    """Return ``(2 n,)``: the target's logits of the first half, the sum of all others of the second."""
    aim, n = target(criterion.repeat(2), logits), len(logits) // 2
    return torch.cat([aim[:n], (logits.sum(1) - aim)[n:]])


def best_pair(up: Tensor, down: Tensor, domain: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices ``(n, 2)`` of the values with the greatest saliency, and whether there are any.

    ``up``, ``down``, ``domain`` ``(n, d)``: by how much a value raises the target and lowers the
    others. Saliency of p and q: (up_p + up_q) (down_p + down_q) where both are positive (equation 10);
    if nowhere, the sum of the two. Both grow with ``up`` and ``down``, so one of a best pair is beaten
    in both by no value, the other by no further one: few values need be paired, whatever d is.
    """
    front = unbeaten(up, down, domain)
    front = front | unbeaten(up, down, domain & ~front)
    width = int(front.sum(1).max().clamp(min=2))
    few = front.sort(dim=1, descending=True, stable=True).indices[:, :width]
    real = front.gather(1, few)
    a, b = (part.gather(1, few)[:, :, None] + part.gather(1, few)[:, None, :] for part in (up, down))
    pairs = real[:, :, None] & real[:, None, :] & ~torch.eye(width, dtype=torch.bool, device=up.device)
    product = torch.where(pairs & (a > 0) & (b > 0), a * b, 0).flatten(1)
    gain = torch.where(pairs, a + b, 0).flatten(1)
    score = torch.where(product.amax(1, keepdim=True) > 0, product, gain)
    best = score.argmax(1, keepdim=True)
    return few.gather(1, torch.cat([best // width, best % width], 1)), score.amax(1) > 0


def unbeaten(up: Tensor, down: Tensor, domain: Tensor) -> Tensor:
    """Return the values of ``domain`` ``(n, d)`` such that no other is as good in both; of equals, one."""
    order = up.masked_fill(~domain, -torch.inf).sort(dim=1, descending=True, stable=True).indices
    height = down.masked_fill(~domain, -torch.inf).gather(1, order)
    above = torch.cat([height.new_full((len(up), 1), -torch.inf), height.cummax(1).values[:, :-1]], 1)
    return torch.zeros_like(domain).scatter(1, order, height > above)
