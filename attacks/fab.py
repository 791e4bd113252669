"""Croce, Hein: Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack. https://arxiv.org/abs/1907.02044."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Query, Search
from attacks.deepfool import DeepFool, copies
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import choose, wide
from attacks.toolkit.best_so_far import Smallest

FINAL, SHORT = 3, 0.9
"""How often the final search looks between the picture found and the untouched one, and
which share of the way to the boundary it goes: on the boundary itself, rounding would decide."""


@dataclass(frozen=True)
class FAB(Attack):
    """Along the boundary towards the picture: each step projects both the iterate and the untouched picture
    onto the nearest class's linearised boundary, within [0, 1], and goes between the two (algorithm 1).

    Whenever it is fooled it steps back towards the untouched picture. The candidates are the likeliest
    classes of that one (the paper's FAB-T, all at once); one query asks for all their gradients, a second
    one whether the step has fooled. Without the paper's random restarts.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="fab",
        title="FAB",
        summary="Walks along the boundary between two classes to the point of it that is nearest.",
        paper="Minimally Distorted Adversarial Examples with a Fast Adaptive Boundary Attack",
        url="https://arxiv.org/abs/1907.02044",
        year=2019,
        access="white-box",
        kind="minimal",
        rule=r"x_{k+1} = \mathrm{clip}_{[0,1]}\bigl((1-\alpha)(x_k + \eta\,\delta_k) + \alpha\,(x + "
        r"\eta\,\delta)\bigr),\quad \delta_k, \delta: \text{ shortest ways to the boundary}",
        use="The smallest change under any of three norms, with no step size and no weight to choose.",
    )

    steps: int = setting(
        50, "Steps", "How often the boundary is looked for.", low=0, high=1000, soft_high=100, main=True
    )
    norm: str = setting(
        norms.LINF.name,
        "Distance",
        "What is to be small: the largest change (linf), the length of all (l2) or their sum (l1).",
        choices=norms.names(norms.LINF, norms.L2, norms.L1),
        main=True,
    )
    candidates: int = setting(
        10,
        "Classes considered",
        "Among how many of the likeliest classes, the picture's own included, the nearest is looked for.",
        low=2,
        high=33,
    )
    overshoot: float = setting(
        0.05,
        "Overshoot",
        "How far beyond the boundary to go, as a share of the way.",
        low=0,
        high=1,
        step=0.005,
    )
    alpha_max: float = setting(
        0.1,
        "Pull",
        "How strongly a step may be drawn to the untouched picture's side.",
        low=0,
        high=1,
        step=0.01,
    )
    beta: float = setting(
        0.9,
        "Step back",
        "Which share of the change remains once the network is fooled.",
        low=0,
        high=1,
        step=0.01,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``; each step's start, once per candidate, and its end; the final search; the smallest."""
        clean = (yield Query(x, None)).logits
        if not self.steps:
            return
        times, lead = DeepFool(candidates=self.candidates).candidate_leads(criterion, clean)
        size, best, adv, margin = norms.SIZES[self.norm], Smallest(x), x, torch.zeros_like(clean[:, 0])
        for _ in range(self.steps):
            answer = yield Query(copies(adv, times), lead)
            adv = end = self.onward(x, adv, lead(answer.logits), answer.gradient)
            new_margin = criterion.margin((yield Query(end, None)).logits)
            margin = torch.where((new_margin > 0) & (size(end - x) < best.size), new_margin, margin)
            best.see(end, size(end - x), new_margin > 0)
            adv = choose(new_margin > 0, x + self.beta * (end - x), end)
        yield from self.final(x, end, best, margin, criterion, clean)

    def final(
        self, x: Tensor, end: Tensor, best: Smallest, margin: Tensor, criterion: Criterion, clean: Tensor
    ) -> Search:
        """Look between what was found, of the given ``margin`` ``(n,)``, and ``x``, as if the margin were
        linear; then yield the smallest, or ``end`` in the rows where nothing was found."""
        inside, below, size = x, criterion.margin(clean), norms.SIZES[self.norm]
        for _ in range(FINAL):
            share = SHORT * (margin / (margin - below)).nan_to_num(0, 0, 0).clamp(0, 1)
            middle = choose(best.found(), best.adv + wide(share, x) * (inside - best.adv), end)
            new_margin = criterion.margin((yield Query(middle, None)).logits)
            fooled = best.found() & (new_margin > 0)
            best.see(middle, size(middle - x), fooled)
            margin = torch.where(fooled, new_margin, margin)
            inside, below = choose(fooled, inside, middle), torch.where(fooled, below, new_margin)
        yield Query(best.otherwise(end), None)

    def onward(self, x: Tensor, adv: Tensor, lead: Tensor, grad: Tensor) -> Tensor:
        """Return the next pictures, given the candidates' ``lead`` ``(k n,)`` at ``adv`` and their gradients:
        between the ways from ``adv`` and from ``x`` to the nearest linearised boundary, and beyond."""
        n = len(x)
        distance = (lead.abs() / norms.get(self.norm).dual(grad)).nan_to_num(torch.inf, torch.inf).view(-1, n)
        row = distance.argmin(0) * n + torch.arange(n, device=x.device)
        lead, grad = lead[row], grad[row]
        near = shortest(self.norm, adv, grad, -lead)
        home = shortest(self.norm, x, grad, -lead - (grad * (x - adv)).flatten(1).sum(1))
        lengths = [norms.SIZES[self.norm](change) for change in (near, home)]
        alpha = wide((lengths[0] / (lengths[0] + lengths[1])).nan_to_num(0).clamp(max=self.alpha_max), x)
        beyond = 1 + self.overshoot
        return ((1 - alpha) * (adv + beyond * near) + alpha * (x + beyond * home)).clamp(0, 1)

    def updates(self) -> int:
        """Return the queries after the first: two a step, the final search, the picture found."""
        return 2 * self.steps + FINAL + 1 if self.steps else 0

    def images(self) -> int:
        """Return one more a step for each candidate but the first."""
        return self.updates() + 1 + self.steps * (self.candidates - 2)

    def images_towards(self, targeted: bool) -> int:
        """Return one a query where the target is the one candidate."""
        return self.updates() + 1 if targeted else self.images()

    def looks(self) -> int:
        """Return the first, one a step, the final search and the picture found."""
        return self.updates() + 1 - self.steps


def shortest(norm: str, x: Tensor, w: Tensor, need: Tensor) -> Tensor:
    """Return the smallest change ``(n, c, h, w)`` of ``x`` within [0, 1] by which the linear function of
    gradient ``w`` grows by ``need`` ``(n,)``; where the box does not allow that, the one that goes farthest.
    """
    flat, need = norms.exact(x.flatten(1)), norms.exact(need)[:, None]
    slope = norms.exact(w.flatten(1)) * need.sign()
    room = torch.where(slope > 0, 1 - flat, flat) * slope.ne(0)
    fill = _one_by_one if norm == norms.L1.name else _all_at_once
    speed = slope.abs() if norm == norms.L2.name else slope.ne(0).to(slope)
    change = fill(slope.abs(), room, need.abs(), speed)
    return (change * slope.sign()).to(x.dtype).view_as(x)


def _one_by_one(slope: Tensor, room: Tensor, need: Tensor, speed: Tensor) -> Tensor:
    """The steepest value goes as far as it can, then the next, until together they have what is needed."""
    order = slope.sort(dim=1, descending=True, stable=True).indices
    gain = (slope * room).gather(1, order)
    left = (need - gain.cumsum(1) + gain).clamp(min=0).minimum(gain)
    spent = torch.zeros_like(gain).scatter(1, order, left)
    return spent / torch.where(slope > 0, slope, 1)


def _all_at_once(slope: Tensor, room: Tensor, need: Tensor, speed: Tensor) -> Tensor:
    """Every value moves at its ``speed`` until it meets the box; of the time at which they have what is
    needed together, the gain is piecewise linear."""
    stop = torch.where(speed > 0, room / torch.where(speed > 0, speed, 1), 0)
    time, order = stop.sort(dim=1)
    rate = (slope * speed).gather(1, order)
    stopped = (slope * room).gather(1, order).cumsum(1)
    moving = rate.flip(1).cumsum(1).flip(1)  # of those that have not met the box when this one does
    gain = stopped - (slope * room).gather(1, order) + time * moving
    last = (gain < need).sum(1, keepdim=True).clamp(max=gain.shape[1] - 1)
    before = torch.where(last > 0, stopped.gather(1, (last - 1).clamp(min=0)), 0)
    pace = moving.gather(1, last)
    at = torch.where(pace > 0, (need - before) / torch.where(pace > 0, pace, 1), time.amax(1, keepdim=True))
    return (at.clamp(min=0) * speed).minimum(room)
