"""Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-Free
Attacks. https://arxiv.org/abs/2003.01690."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from attacks.apgd import APGD
from attacks.contract import (
    Attack,
    AttackCard,
    Criterion,
    Evaluation,
    Objective,
    Query,
    ReasonedSearch,
    Search,
)
from attacks.fab import FAB
from attacks.settings import setting
from attacks.square import Square
from attacks.toolkit import norms
from attacks.toolkit.batch import choose

TRIES = 5
"""How many squares are tried for each step of the other attacks (the paper: 5,000 for 100)."""


@dataclass(frozen=True)
class AutoAttack(Attack):
    """Four attacks that fail for different reasons, one after the other on whatever is not fooled yet.

    APGD on the cross-entropy from a random start, APGD on the ratio of logits aimed at each of the
    likeliest classes, FAB, the Square Attack. A picture is left alone once it is fooled; of one that never
    is, the last query is the one of the highest margin. FAB knows no budget: shown is what it asks
    about, brought into the ball, and its own pictures are probes.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="autoattack",
        title="AutoAttack",
        summary="A fixed row of strong attacks, each on what withstood the ones before it.",
        paper="Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse"
        " Parameter-Free Attacks",
        url="https://arxiv.org/abs/2003.01690",
        year=2020,
        access="white-box",
        kind="budget",
        rule=r"\text{APGD}_{\mathrm{CE}} \rightarrow \text{APGD}_{\mathrm{DLR}}^{t_1 \ldots t_k} \rightarrow "
        r"\text{FAB}^{t_1 \ldots t_k} \rightarrow \text{Square}",
        use="Judging a defence: what withstands all four, with no setting tuned, is worth believing.",
    )
    ends: ClassVar[str] = "every picture is fooled"

    epsilon: float = setting(
        None,
        "Largest change",
        "How far the picture may move in all: any single value (linf), or all of them together (l2).",
        by=norms.budgets(norms.LINF, norms.L2),
        main=True,
    )
    steps: int = setting(
        50, "Steps", "How many each attack gets; the last tries five squares for each.", low=0, high=1000
    )
    norm: str = setting(
        norms.LINF.name,
        "Distance",
        "What counts as far: the largest change (linf) or its length (l2).",
        choices=norms.names(norms.LINF, norms.L2),
    )
    targets: int = setting(
        3,
        "Classes aimed at",
        "How many of the likeliest other classes are aimed at in turn.",
        low=1,
        high=32,
    )

    def parts(self) -> list[Attack]:
        """Return the attacks in their order."""
        within: dict[str, Any] = {"norm": self.norm, "epsilon": self.epsilon}
        entropy = APGD(**within, steps=self.steps, random_start=True)
        ratio = APGD(**within, steps=self.steps, loss="dlr-targeted", restarts=self.targets)
        squares = Square(**within, steps=TRIES * self.steps)
        boundary = FAB(norm=self.norm, steps=self.steps, candidates=self.targets + 1)
        return [entropy, ratio, boundary, squares]

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield the pictures of one attack after the other, and the best of all; see `Attack.search`."""
        if not self.steps:
            yield Query(x, None)
            return
        best = Best(x, criterion)
        # A generator for each: how much chance one uses up must not depend on which rows are fooled.
        seeds = torch.randint(2**31, (len(self.parts()),), generator=rng).tolist()
        for part, seed in zip(self.parts(), seeds, strict=True):
            search = part.search(x, criterion, torch.Generator().manual_seed(seed))
            yield from self.follow(search if part.bound() else self.within(search, x), best)
            if best.fooled.all():
                break
        yield Query(best.adv, None)

    def follow(self, search: ReasonedSearch, best: Best) -> Search:
        """Ask what ``search`` asks, with what is fooled left as it is, until everything is."""
        n, query, begun = len(best.adv), next(search), False
        try:
            while not best.fooled.all():
                adv = choose(best.fooled, best.adv, query.x[:n])
                answer = yield Query(torch.cat([adv, query.x[n:]]), query.objective)
                if begun:
                    best.see(adv, answer.logits[:n])
                query, begun = search.send(answer), True
        except StopIteration:
            return
        finally:
            search.close()

    def within(self, search: ReasonedSearch, x: Tensor) -> Search:
        """Show what a search without a budget asks about, brought into the ball; itself it is a probe."""
        n, norm, query = len(x), norms.get(self.norm), next(search)
        try:
            while True:
                near = norm.project(x, query.x[:n], self.epsilon)
                ask = query.objective and partial(behind, query.objective, n)
                answer = yield Query(torch.cat([near, query.x]), ask)
                query = search.send(tail(answer, n))
        except StopIteration:
            return
        finally:
            search.close()

    def updates(self) -> int:
        """Return how many queries follow the first one if some picture is never fooled."""
        return sum(part.updates() + 1 for part in self.parts()) if self.steps else 0

    def images(self) -> int:
        """Return those of the parts, of a part without a budget one more a query, and the first and the
        last."""
        beside = sum(part.updates() + 1 for part in self.parts() if not part.bound())
        return sum(part.images() for part in self.parts()) + beside + 2

    def bound(self) -> tuple[str, float]:
        """Return (norm, epsilon)."""
        return self.norm, self.epsilon

    def stochastic(self) -> bool:
        """Say yes: the first attack starts at random, and squares fall at random."""
        return True


class Best:
    """Of each row the picture of the highest margin, up to and including the first that is fooled."""

    def __init__(self, x: Tensor, criterion: Criterion) -> None:
        self.adv, self.criterion = x, criterion
        self.margin = x.new_full((len(x),), -torch.inf)

    @property
    def fooled(self) -> Tensor:
        """``(n,)`` booleans."""
        return self.margin > 0

    def see(self, adv: Tensor, logits: Tensor) -> None:
        """Take in pictures ``(n, c, h, w)`` and their logits; the rows that are fooled stay as they are."""
        margin = self.criterion.margin(logits)
        better = (margin > self.margin) & ~self.fooled
        self.adv, self.margin = choose(better, adv, self.adv), torch.where(better, margin, self.margin)


def behind(objective: Objective, n: int, logits: Tensor) -> Tensor:
    """Return the objective of all rows but the first ``n``, for which nothing is wanted."""
    return torch.cat([0 * logits[:n, 0], objective(logits[n:])])


def tail(answer: Evaluation, n: int) -> Evaluation:
    """Return the answers to all rows but the first ``n``."""
    loss, grad = (None if part is None else part[n:] for part in answer[1:])
    return Evaluation(answer.logits[n:], loss, grad)
