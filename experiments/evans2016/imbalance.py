"""An over-represented family: are digits harder to drive out of it when there was more of it to learn?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attacks.contract import Criterion
from attacks.settings import setting
from errors import BadSetting
from experiments.core import JSON, Experiment, ExperimentCard
from experiments.datasets import digit_sets, superclasses
from experiments.datasets.digit_sets import Digits
from experiments.evans2016 import article
from experiments.methods.perceptron import Perceptron, wrong
from experiments.toolkit import intervals

FAMILY = (3, 5, 8)
KINDS = ("balanced", "ten times")
TIMES = 10
HIDDEN, PASSES, BATCH, RATE = 100, 40, 50, 0.05


@dataclass(frozen=True)
class Imbalance(Experiment):
    """Networks of 784-100-10 units, trained on ten times as many digits of the family 3, 5, 8 as of the
    others, or on as many digits in all with every class alike; each from ``seeds`` seeds.

    What is measured is measured on test digits of the family that the network gets right, by DDN.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="imbalance",
        title="Ten times as many of them",
        question="Is a picture harder to drive out of a family that was over-represented in training?",
        paper=article.TITLE,
        url=article.URL,
        source="Jeff Dean's explanation of the dog: there were many more dogs to learn from",
    )

    n: int = setting(100, "Attacked digits", "How many test digits of the family.", low=10, high=1000)
    many: int = setting(
        1000, "Digits of a class of the family", "How many there are to learn from.", low=50, high=5000
    )
    seeds: int = setting(3, "Seeds", "How many networks of each kind are trained.", low=2, high=50)
    steps: int = setting(50, "Steps", "How many steps DDN takes.", low=5, high=1000)

    def depends(self) -> JSON:
        """Return where the digits come from."""
        return digit_sets.source(self.data)

    def pieces(self) -> list[str]:
        """Return one name for each network."""
        return [f"{kind} {seed}" for seed in range(self.seeds) for kind in KINDS]

    def piece(self, name: str, store: Any) -> JSON:
        """Train a network and attack it."""
        kind, number = name.rsplit(" ", 1)
        digits = digit_sets.digits(self.data)
        numbers = np.random.SeedSequence([self.seed, int(number)]).generate_state(1)
        rng = torch.Generator().manual_seed(int(numbers[0]))
        rows = drawn(digits.train_y, counts(digits.train_y, self.many, kind), rng)
        net = trained(digits.train_x[rows], digits.train_y[rows], rng)
        return self._judged(net, digits) | {"digits": len(rows)}

    def _judged(self, net: Perceptron, digits: Digits) -> dict[str, JSON]:
        """Return how a network does on the family and on the rest, and how its digits leave the family."""
        x, y = digits.test_x, digits.test_y
        inside = torch.zeros(10, dtype=torch.bool)
        inside[list(FAMILY)] = True
        errors, kin_ = wrong(net, x, y), inside[y]
        rows = torch.nonzero(~errors & kin_)[:, 0][: self.n]
        if not len(rows):
            raise BadSetting("The network gets no digit of the family right: give it more to learn from.")
        near, lands = superclasses.least(net, x[rows], Criterion(y[rows], targeted=False), self.steps)
        leave, _ = superclasses.least(net, x[rows], superclasses.Leaving(y[rows], False, inside), self.steps)
        other = torch.nonzero(~errors & ~kin_)[:, 0][: self.n]
        rest, into = superclasses.least(net, x[other], Criterion(y[other], targeted=False), self.steps)
        return {
            "near": middle(near),
            "leave": middle(leave),
            "rest": middle(rest),
            "stays": float(inside[lands].double().mean()),
            "into": float(inside[into].double().mean()),
            "family error": float(errors[kin_].double().mean()),
            "other error": float(errors[~kin_].double().mean()),
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return, for both kinds, the means over the seeds, and the mean differences, seed by seed."""
        found: dict[str, JSON] = {"family": list(FAMILY), "times": TIMES, "kinds": {}, "more": {}}
        names = [name for name in done[f"{KINDS[0]} 0"] if name != "digits"]
        each = {k: {m: [done[f"{k} {s}"][m] for s in range(self.seeds)] for m in names} for k in KINDS}
        for kind in KINDS:
            rows = {name: intervals.mean(values) for name, values in each[kind].items()}
            found["kinds"][kind] = {"digits": done[f"{kind} 0"]["digits"], **rows}
        for name in names:
            pairs = zip(each[KINDS[0]][name], each[KINDS[1]][name], strict=True)
            found["more"][name] = intervals.mean([b - a for a, b in pairs])
        return found

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what follows from Jeff Dean's explanation."""
        more = figures["more"]
        chance = (len(FAMILY) - 1) / 9
        kept = figures["kinds"]["balanced"]["stays"]
        return {
            "With ten times as many of the family to learn from, its digits must move farther to leave it.": (
                more["leave"]["low"] > 0
            ),
            "Fooled with the least change, more of them stay in the family.": more["stays"]["low"] > 0,
            "The other digits are fooled with a smaller change.": more["rest"]["high"] < 0,
            "More of the other digits end up in the family.": more["into"]["low"] > 0,
            "Even with balanced classes, more stay in the family than chance has it.": kept["low"] > chance,
        }


def counts(y: Tensor, many: int, kind: str) -> list[int]:
    """Return how many digits of each class are learnt from. Both kinds have as many in all; where a class has
    too few, all are scaled down."""
    many = min(many, int(torch.bincount(y, minlength=10).min()))
    few = max(1, many // TIMES)
    if kind == "ten times":
        return [many if digit in FAMILY else few for digit in range(10)]
    return [(len(FAMILY) * many + (10 - len(FAMILY)) * few) // 10] * 10


def drawn(y: Tensor, sizes: list[int], rng: torch.Generator) -> Tensor:
    """Return the rows of so many digits of each class, drawn at random."""
    rows = []
    for digit, size in enumerate(sizes):
        own = torch.nonzero(y == digit)[:, 0]
        rows.append(own[torch.randperm(len(own), generator=rng)[:size]])
    return torch.cat(rows)


def trained(x: Tensor, y: Tensor, rng: torch.Generator) -> Perceptron:
    """Return a network trained for `PASSES` passes by stochastic gradient descent with momentum .9."""
    net = Perceptron([x[0].numel(), HIDDEN, 10], "relu", rng)
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9)
    for _ in range(PASSES):
        for rows in torch.randperm(len(y), generator=rng).split(BATCH):
            loss = functional.cross_entropy(net(x[rows]), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.requires_grad_(False)


def middle(far: Tensor) -> float:
    """Return the median of the distances that were found."""
    found = [value for value in far.tolist() if math.isfinite(value)]
    if not found:
        raise BadSetting("DDN fooled the network on no digit: take more steps.")
    return float(np.median(found))
