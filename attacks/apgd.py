"""Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-Free
Attacks. https://arxiv.org/abs/2003.01690."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial, reduce
from typing import ClassVar

import torch
from torch import Tensor

from attacks.bim import budget
from attacks.contract import Attack, AttackCard, Criterion, Evaluation, Objective, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import choose
from attacks.toolkit.norms import Norm

ALPHA, RHO = 0.75, 0.75
"""The weight of the new direction against the momentum, and the share of steps that must have gained."""


@dataclass(frozen=True)
class APGD(Attack):
    """Projected gradient descent with momentum that finds its own step size (algorithm 1).

    It starts with steps of 2 epsilon. At checkpoints that come ever faster, a picture whose loss fell in
    at most ``RHO`` of the steps since the last one, or that has not got any further with its step size,
    goes back to its best point with half of it. Under "l1" the step is the steepest one inside [0, 1]
    (`norms.L1`), without the schedule of sparsity of Croce and Hein 2021. The picture found is the one of
    the highest margin that was visited; the untouched one does not count.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="apgd",
        title="Auto-PGD (APGD)",
        summary="PGD that halves its own step size when it stops making headway, and keeps its best point.",
        paper="Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse"
        " Parameter-Free Attacks",
        url="https://arxiv.org/abs/2003.01690",
        year=2020,
        access="white-box",
        kind="budget",
        rule=r"z_{k+1} = \Pi(x_k - \eta_k\,\mathrm{sign}\,g_k),\quad x_{k+1} = \Pi\bigl(x_k + \tfrac34 "
        r"(z_{k+1} - x_k) + \tfrac14 (x_k - x_{k-1})\bigr)",
        use="A test of robustness with no step size to get wrong: the one to believe when PGD is in doubt.",
    )

    epsilon: float = budget()
    steps: int = setting(
        100, "Steps", "How often the gradient is followed.", low=0, high=10_000, soft_high=300, main=True
    )
    norm: str = setting(
        norms.LINF.name,
        "Distance",
        "What counts as far: the largest change (linf), the length of all (l2) or their sum (l1).",
        choices=tuple(norms.NORMS),
    )
    loss: str = setting(
        "ce",
        "Loss",
        "Cross-entropy (ce), a ratio of logits that no scaling hides (dlr), or that ratio aimed at the"
        " likeliest other class, each attempt at the next one (dlr-targeted).",
        choices=("ce", "dlr", "dlr-targeted"),
    )
    random_start: bool = setting(
        False, "Random start", "Begin at a random picture within the largest change; the seed decides which."
    )
    restarts: int = setting(
        1,
        "Attempts",
        "How often to begin, anew at a random picture; the best counts.",
        low=1,
        high=100,
        soft_high=20,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, the pictures of each attempt and the best of all; see `Attack.search`."""
        norm, jumps = norms.get(self.norm), self.random_start and self.steps > 0
        clean = (yield Query(x, None)).logits if jumps or not self.steps else None
        ends: list[tuple[Tensor, Tensor]] = []
        for attempt in range(self.restarts if self.steps else 0):
            start = norm.random_start(x, self.epsilon, rng) if jumps or attempt else x
            goal = partial(self.goal, criterion, attempt, clean)
            answer = yield Query(start, goal)
            if clean is None:
                clean = answer.logits
                goal = partial(self.goal, criterion, attempt, clean)
            ends.append((yield from self.descend(x, start, answer, goal, criterion)))
        if ends:
            yield Query(reduce(better, ends)[0], None)

    def descend(
        self, x: Tensor, start: Tensor, answer: Evaluation, goal: Objective, criterion: Criterion
    ) -> Generator[Query, Evaluation, tuple[Tensor, Tensor]]:
        """Follow algorithm 1 from ``start``, of which ``answer`` tells; return the picture of the highest
        margin and that margin."""
        lengths = checkpoints(self.steps)
        path = Path(norms.get(self.norm), self.epsilon, x, start, goal, answer)
        best, margin = start, torch.full_like(answer.logits[:, 0], -torch.inf)
        for k in range(1, self.steps + 1):
            adv = path.step()
            answer = yield Query(adv, goal)
            path.learn(answer)
            if k in lengths:
                path.check(lengths[k])
            best, margin = better((best, margin), (adv, criterion.margin(answer.logits)))
        return best, margin

    def goal(self, criterion: Criterion, attempt: int, clean: Tensor | None, logits: Tensor) -> Tensor:
        """Return ``(n,)`` values to *minimise*: cross-entropy, or minus the ratio of equation 6 or 7.

        ``clean``: the logits of the untouched picture, which name the class that the given attempt aims at;
        None where they are ``logits`` themselves. The ratios divide by a spread of three logits or, aimed,
        of four: with fewer classes cross-entropy takes their place (the authors' code warns and fails).
        With a target to reach, the margin alone stands for either ratio: divided by the spread it also
        falls when the *top* logit rises, if the target is an unlikely one.
        """
        aimed = self.loss == "dlr-targeted" and not criterion.targeted
        if self.loss == "ce" or logits.shape[1] < (4 if aimed else 3):
            return criterion.loss(logits)
        if criterion.targeted:
            return -criterion.margin(logits)
        top = logits.topk(4 if aimed else 3).values
        if not aimed:
            return -criterion.margin(logits) / (top[:, 0] - top[:, 2] + 1e-12)
        rival = likeliest(criterion.label, logits.detach() if clean is None else clean, attempt)
        own, other = (logits.gather(1, which.to(rival)[:, None])[:, 0] for which in (criterion.label, rival))
        return (own - other) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)

    def updates(self) -> int:
        """Return the queries after the first: each attempt's start and steps, and the best of all."""
        return self.restarts * (self.steps + 1) + self.random_start if self.steps else 0

    def bound(self) -> tuple[str, float]:
        """Return (norm, epsilon)."""
        return self.norm, self.epsilon

    def stochastic(self) -> bool:
        """Say whether any attempt has a random start."""
        return self.random_start or self.restarts > 1


class Path:
    """Where the rows of one attempt are in algorithm 1, and where they were best."""

    def __init__(
        self, norm: Norm, epsilon: float, x: Tensor, start: Tensor, goal: Objective, answer: Evaluation
    ) -> None:
        self.norm, self.epsilon, self.x, self.goal = norm, epsilon, x, goal
        self.here = self.before = self.top = start
        self.grad = self.top_grad = answer.gradient
        self.value = self.least = self.least_at_check = goal(answer.logits)
        self.size = x.new_full((len(x), 1, 1, 1), 2 * epsilon)
        self.gains = torch.zeros_like(self.value)
        self.halved = torch.ones_like(self.value, dtype=torch.bool)
        self.pull = 1.0

    def step(self) -> Tensor:
        """Return the next pictures (lines 7 and 8; the first step, line 3, has no momentum)."""
        z = self._keep(self.norm.ascent_step(self.here, -self.grad, self.size))
        adv = self.here + self.pull * (z - self.here) + (1 - self.pull) * (self.here - self.before)
        self.here, self.before, self.pull = self._keep(adv), self.here, ALPHA
        return self.here

    def learn(self, answer: Evaluation) -> None:
        """Take in what is known of the pictures of the last `step` (lines 9 to 11)."""
        value = self.goal(answer.logits)
        self.gains = self.gains + (value < self.value)
        lower = value < self.least
        self.value, self.grad = value, answer.gradient
        self.top = choose(lower, self.here, self.top)
        self.top_grad = choose(lower, self.grad, self.top_grad)
        self.least = torch.minimum(value, self.least)

    def check(self, length: int) -> None:
        """Halve the step of each row to which condition 1 or 2 applies after ``length`` steps, and send it
        back to its best point (lines 12 to 17)."""
        halve = (self.gains <= RHO * length) | (~self.halved & (self.least >= self.least_at_check))
        self.size = choose(halve, self.size / 2, self.size)
        self.here = choose(halve, self.top, self.here)
        self.grad = choose(halve, self.top_grad, self.grad)
        self.halved, self.least_at_check, self.gains = halve, self.least, torch.zeros_like(self.gains)

    def _keep(self, adv: Tensor) -> Tensor:
        return self.norm.project(self.x, adv.clamp(0, 1), self.epsilon)


def checkpoints(steps: int) -> dict[int, int]:
    """Return how many steps each checkpoint looks back on, by the step after which it comes: .22 of them
    all, then .03 fewer each time but never below .06 (section 3.1, in the authors' whole numbers)."""
    length, shorter, least = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    spans, at = {}, length
    while at <= steps:
        spans[at] = length
        length = max(length - shorter, least)
        at += length
    return spans


def likeliest(label: Tensor, logits: Tensor, rank: int) -> Tensor:
    """Return ``(n,)``: the class of the highest logit but ``label``, or the one ``rank`` places behind it
    (beginning again after the last)."""
    others = logits.scatter(1, label.to(logits.device)[:, None], -torch.inf)
    return others.sort(dim=1, descending=True, stable=True).indices[:, rank % (logits.shape[1] - 1)]


def better(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return, row by row, the one of two (picture, margin) with the higher margin; the first if equal."""
    return choose(other[1] > one[1], other[0], one[0]), torch.maximum(one[1], other[1])
