"""Szegedy et al.: Intriguing Properties of Neural Networks. https://arxiv.org/abs/1312.6199."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Evaluation, Query, Search
from attacks.settings import setting
from attacks.toolkit.batch import choose
from attacks.toolkit.lbfgs_direction import Descent


@dataclass(frozen=True)
class LBFGS(Attack):
    """Box-constrained L-BFGS on ``c |r|^2 + loss(x + r)``, x + r in [0, 1], in a search over c (section 4.1).

    The paper writes |r|, which has no gradient at r = 0, where the search begins: the square is
    smooth. It asks for "the minimum c > 0" whose minimiser is adversarial; since its c weighs the
    distance, a larger c means a smaller r, and what is meant is the *largest* such c. (And its
    "D(x, f(x)) = f(x)" is D(x, f(x)) = x: who aims at the present class need not move.) The
    paper has targets only: without one, any other class is the target (`towards`).

    Every picture asked about may become the result, so it is never farther than the minimiser of
    the largest c that succeeded.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="lbfgs",
        title="L-BFGS",
        summary="The first attack: a quasi-Newton method finds the least change for which the answer flips.",
        paper="Intriguing Properties of Neural Networks",
        url="https://arxiv.org/abs/1312.6199",
        year=2013,
        access="white-box",
        kind="minimal",
        rule=r"\min_r\ c\,\|r\|_2^2 + \mathrm{loss}(x + r, t)\quad\text{so that } x + r \in [0, 1]",
        use="The smallest change to a small network, as the first paper on the subject measured it.",
    )
    ends: ClassVar[str] = "every weight to be tried has been minimised"

    steps: int = setting(
        20,
        "Steps per weight",
        "How many pictures the minimiser may ask about before the weight is changed.",
        low=0,
        high=1000,
        soft_high=100,
        main=True,
    )
    search_steps: int = setting(
        9,
        "Weights tried",
        "How many weights c of the distance are tried, in tenfolds and then by bisection.",
        low=1,
        high=50,
        soft_high=20,
        main=True,
    )
    initial_c: float = setting(
        1.0, "First weight", "What the squared distance weighs at first.", low=1e-4, high=1e4, soft_high=100
    )
    memory: int = setting(
        10,
        "Memory",
        "From how many of its last steps the minimiser knows the curvature.",
        low=1,
        high=50,
        soft_high=20,
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, every point of the line searches, and the nearest success; see `Attack.search`."""
        goal = partial(towards, criterion)
        answer = yield Query(x, goal if self.steps else None)
        if not self.steps:
            return
        hunt = Hunt(self, x, criterion, answer)
        for _ in range(self.steps * self.search_steps):
            trial = hunt.trial()
            hunt.hear(trial, (yield Query(trial, goal)))
            if not hunt.left.any():
                break
        yield Query(hunt.best, None)

    def updates(self) -> int:
        """Return the largest number of questions, the last one about the result included."""
        return self.steps * self.search_steps + 1 if self.steps else 0


class Hunt:
    """Where each row is: its point, its c, and the nearest success so far. All numbers are ``(n, 1)``."""

    def __init__(self, attack: LBFGS, x: Tensor, criterion: Criterion, answer: Evaluation) -> None:
        self.attack, self.criterion, self.best = attack, criterion, x
        loss, slope = _column(answer.loss), answer.gradient.flatten(1)
        c = torch.full_like(loss, attack.initial_c)
        self.descent = Descent(x.flatten(1), loss, slope, c, attack.memory)
        self.met = _column(criterion.met(answer.logits))
        self.rank = torch.full_like(c, -math.inf)
        self.succeeded, self.failed = torch.zeros_like(c), torch.full_like(c, math.inf)
        self.asked, self.tried = torch.zeros_like(c), torch.zeros_like(c)

    @property
    def left(self) -> Tensor:
        """Return the rows that have weights left to try."""
        return self.tried < self.attack.search_steps

    def trial(self) -> Tensor:
        """Return the pictures to ask about; rows with nothing left stay where they are."""
        return torch.where(self.left, self.descent.trial(), self.descent.at).view_as(self.best)

    def hear(self, trial: Tensor, answer: Evaluation) -> None:
        """Take the answer into account: the best picture, the descent, and c where that is done."""
        self._keep(trial, answer)
        loss, slope = _column(answer.loss), answer.gradient.flatten(1)
        moved = self.descent.hear(trial.flatten(1), loss, slope)
        self.met = torch.where(moved, _column(self.criterion.met(answer.logits)), self.met)
        self.asked = self.asked + 1
        done = (self.descent.settled() | (self.asked >= self.attack.steps)) & self.left
        self._reweigh(done)
        self.descent.turn(moved | done)

    def _keep(self, trial: Tensor, answer: Evaluation) -> None:
        """Prefer the nearest success; while there is none, the picture that came closest to one."""
        met, margin = self.criterion.met(answer.logits), self.criterion.margin(answer.logits)
        size = (trial.flatten(1) - self.descent.x).norm(dim=1)
        rank = _column(torch.where(met, 1 / size, margin))
        better = rank > self.rank
        self.rank = torch.where(better, rank, self.rank)
        self.best = choose(better, trial, self.best)

    def _reweigh(self, done: Tensor) -> None:
        """Give the rows that are ``done`` the next c: more after a success, less after a failure."""
        c = self.descent.c
        self.succeeded = torch.where(done & self.met, c.maximum(self.succeeded), self.succeeded)
        self.failed = torch.where(done & ~self.met, c.minimum(self.failed), self.failed)
        between = (self.succeeded * self.failed).sqrt()
        between = torch.where(self.failed.isinf(), c * 10, between)
        between = torch.where(self.succeeded == 0, c / 10, between)
        self.descent.c = torch.where(done, between, c)
        self.asked, self.tried = torch.where(done, 0, self.asked), self.tried + done


def towards(criterion: Criterion, logits: Tensor) -> Tensor:
    """Return ``(n,)``: the cross-entropy towards the target, or, untargeted, towards all other classes
    together, -log(1 - p).

    For two classes these are the same, and convex where the network is linear. The log-probability of
    the class to leave is neither, and vanishes in float32 where the network is sure.
    """
    if criterion.targeted:
        return criterion.loss(logits)
    others = logits.scatter(1, criterion.label[:, None].to(logits.device), -math.inf)
    return logits.logsumexp(1) - others.logsumexp(1)


def _column(values: Tensor | None) -> Tensor:
    if values is None:
        raise RuntimeError("Expected a loss, got an answer to a query without an objective.")
    return values[:, None]
