"""Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks. https://arxiv.org/abs/1608.04644."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from attacks.contract import Attack, AttackCard, Criterion, Evaluation, Query, Search
from attacks.settings import setting
from attacks.toolkit import norms
from attacks.toolkit.batch import wide
from attacks.toolkit.best_so_far import Smallest
from attacks.toolkit.constant_search import Patience, Weight, shortfall

EDGE, END = 1.5, 8.0
"""Where the variable of a black or white value lies, which there moves at a fifth of a grey one's speed; and
where the variable of any other value may go at most."""
HALF = 0.5 / 255
"""What is nearer than this to black or white is black or white in a file."""


@dataclass(frozen=True)
class CarliniWagner(Attack):
    """The L2 attack: Adam on squared distance plus c times how far the logits are from success
    (equation 7 and f6), with a search for the smallest c that succeeds (section 5.1 and 6.1).

    Each value of a picture is ½ + ½ tanh(w), as in the paper. That reaches 0 and 1 at infinity alone, where
    its slope is 0, so a value that is black or white (to half a grey level) could never move: such a one is
    ½ + ½ tanh(w) / tanh(1.5), with w kept to [-1.5, 1.5]. A value whose w has not moved is the picture's own,
    to the bit. Each round, that is each c, starts at the picture; the nearest picture that fools in any
    round is the result.
    """

    card: ClassVar[AttackCard] = AttackCard(
        name="carlini_wagner",
        title="Carlini & Wagner",
        summary="Minimises distance and the network's resistance together, and looks for the right balance.",
        paper="Towards Evaluating the Robustness of Neural Networks",
        url="https://arxiv.org/abs/1608.04644",
        year=2016,
        access="white-box",
        kind="minimal",
        rule=r"\min_w\ \|x' - x\|_2^2 + c\,\max\bigl(\max_{i\ne t} z_i(x') - "
        r"z_t(x'),\,-\kappa\bigr),\qquad x' = \tfrac12(\tanh w + 1)",
        use="Very small changes with a chosen confidence, when many gradients may be spent.",
    )
    ends: ClassVar[str] = "the loss no longer falls"

    steps: int = setting(
        60,
        "Steps per round",
        "How often Adam moves the picture.",
        low=0,
        high=10_000,
        soft_high=300,
        main=True,
    )
    search_steps: int = setting(
        4, "Rounds", "How many weights c are tried.", low=1, high=20, soft_high=10, main=True
    )
    step_size: float = setting(
        0.01, "Step size", "Adam's learning rate.", low=0.0001, high=1, soft_high=0.1, step=0.001, main=True
    )
    initial_const: float = setting(
        0.1,
        "First weight c",
        "Resistance against distance, in the first round.",
        low=1e-6,
        high=1e6,
        soft_high=10,
    )
    confidence: float = setting(
        0.0, "Confidence", "By how much the logits are to win.", low=0, high=1000, soft_high=40, step=0.5
    )
    abort_early: bool = setting(
        False, "Give up early", "End a round where a tenth of its steps brought nothing; apt for long rounds."
    )

    def search(self, x: Tensor, criterion: Criterion, rng: torch.Generator) -> Search:
        """Yield ``x``, every picture of every round, and last the nearest that fools; see `Attack.search`."""
        start = yield Query(x, partial(shortfall, criterion, self.confidence) if self.steps else None)
        if not self.steps:
            return
        best, weight, adv = Smallest(x), Weight(x.new_full((len(x),), self.initial_const)), x
        best.see(x, x.new_zeros(len(x)), self.enough(criterion, start))
        for _ in range(self.search_steps):
            adv, success = yield from self.descend(x, criterion, start, weight.c, best)
            weight.adjust(success)
        yield Query(best.otherwise(adv), None)

    def descend(
        self, x: Tensor, criterion: Criterion, answer: Evaluation, c: Tensor, best: Smallest
    ) -> Generator[Query, Evaluation, tuple[Tensor, Tensor]]:
        """Minimise with the weights ``c`` ``(n,)``, from ``x`` and the ``answer`` to it; return the last
        pictures and which rows succeeded.
        """
        lack = partial(shortfall, criterion, self.confidence)
        space, adv, success = TanhSpace(x), x, self.enough(criterion, answer)
        w, adam, patience = space.start, Adam(self.step_size), Patience(self.steps, not self.abort_early)
        for left in reversed(range(self.steps)):
            going = patience.left(norms.l2(adv - x) ** 2 + c * lack(answer.logits))
            if not going.any():
                break
            slope = (2 * (adv - x) + wide(c, x) * answer.gradient) * space.slope(w)
            w = torch.where(wide(going, x), space.kept(w - adam.step(slope)), w)
            adv = space.picture(w)
            answer = yield Query(adv, lack if left else None)
            fooled = self.enough(criterion, answer)
            best.see(adv, norms.l2(adv - x), fooled)
            success = success | fooled
        return adv, success

    def enough(self, criterion: Criterion, answer: Evaluation) -> Tensor:
        """Return ``(n,)`` booleans: the margin exceeds the confidence asked for."""
        return criterion.margin(answer.logits) > self.confidence

    def updates(self) -> int:
        """Return the number of steps in all rounds, and one for the picture found."""
        return self.search_steps * self.steps + 1 if self.steps else 0


class TanhSpace:
    """The variable w of pictures ``x``, whose values are in [0, 1]; see `CarliniWagner`."""

    def __init__(self, x: Tensor) -> None:
        self._x, self._edge = x, torch.where((x < HALF) | (x > 1 - HALF), EDGE, END).to(x)
        self._top = torch.tanh(self._edge)
        self.start = self.kept(torch.atanh((2 * x - 1) * self._top))

    def kept(self, w: Tensor) -> Tensor:
        """Return ``w`` within its ends."""
        return torch.clamp(w, -self._edge, self._edge)

    def picture(self, w: Tensor) -> Tensor:
        """Return the pictures that ``w`` stands for; what has not moved is exactly as it was."""
        moved = (0.5 + 0.5 * torch.tanh(w) / self._top).clamp(0, 1)
        return torch.where(w == self.start, self._x, moved)

    def slope(self, w: Tensor) -> Tensor:
        """Return how fast the pictures change with ``w``."""
        return 0.5 * (1 - torch.tanh(w) ** 2) / self._top


class Adam:
    """Kingma and Ba 2014 (https://arxiv.org/abs/1412.6980, algorithm 1), for values that never mix."""

    def __init__(self, step_size: float) -> None:
        self._step_size, self._time = step_size, 0
        self._mean: Tensor | float = 0.0
        self._square: Tensor | float = 0.0

    def step(self, grad: Tensor) -> Tensor:
        """Return what to subtract, given the gradient at the present point."""
        self._time += 1
        self._mean = 0.9 * self._mean + 0.1 * grad
        self._square = 0.999 * self._square + 0.001 * grad**2
        mean = self._mean / (1 - 0.9**self._time)
        square = self._square / (1 - 0.999**self._time)
        return self._step_size * mean / (square.sqrt() + 1e-8)
