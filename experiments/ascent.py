"""Up the gradient of a probability by steps of one length, until the network is sure (1806.11186)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from attacks.core import Criterion, Step, walk
from attacks.towards import TowardsClass


class Trail(NamedTuple):
    """Where each of ``n`` pictures ended: the first that reached the score, or the last one.

    ``x``: ``(n, 1, h, w)`` in [0, 1]; ``scores``: ``(n,)``, the target's probability there; ``steps``: how
    many led there; ``first``: the probability of the own class (the one that the network says) of the
    untouched picture; ``curves``: ``[step, own class, target]`` at some of the steps.
    """

    x: Tensor
    scores: Tensor
    steps: list[int]
    first: list[float]
    curves: list[list[list[float]]]


def ascend(
    network: nn.Module,
    temperature: float,
    x: Tensor,
    target: Tensor,
    steps: int,
    score: float = 0.95,
    step_size: float = 1 / 255,
    points: int = 30,
) -> Trail:
    """Change ``x`` ``(n, 1, h, w)`` in [0, 1] towards ``target`` ``(n,)``: each step follows the gradient of
    the target's probability (softmax of logits over ``temperature``) for ``step_size`` (Euclidean, pixels in
    [0, 1]; a grey level by default) and is clipped to [0, 1]; at most ``steps`` of them.
    """
    attack = TowardsClass(step_size=step_size, steps=steps, norm="l2", ascend="probability")
    criterion = Criterion(target, targeted=True)
    ends, paths, own = Ends(x, score), [], torch.empty(0, dtype=torch.long)
    for step in walk(attack.search(x, criterion, torch.Generator()), Cooled(network, temperature), criterion):
        p = step.evaluation.logits.softmax(1)
        own = p.argmax(1) if not step.index else own
        pair = torch.stack([p.gather(1, each[:, None])[:, 0] for each in (own, target)], 1)
        paths.append(pair)
        if ends.hear(step, pair[:, 1]):
            break
    way = torch.stack(paths)
    curves = [_thinned(way[: end + 1, row], points) for row, end in enumerate(ends.steps.tolist())]
    return Trail(ends.x, ends.scores, ends.steps.tolist(), way[0, :, 0].tolist(), curves)


class Cooled(nn.Module):
    """A network whose logits are divided by a temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)``."""
        logits: Tensor = self.network(x)
        return logits / self.temperature


class Ends:
    """The first picture of each row that reaches the score; where none does yet, the latest."""

    def __init__(self, x: Tensor, score: float) -> None:
        self.x, self.score = x, score
        self.scores = torch.zeros(len(x))
        self.steps = torch.zeros(len(x), dtype=torch.long)

    def hear(self, step: Step, p: Tensor) -> bool:
        """Take in a step, ``p`` ``(n,)`` being the target's probabilities; say whether all arrived."""
        going = self.scores < self.score
        self.x = torch.where(going[:, None, None, None], step.x, self.x)
        self.scores = torch.where(going, p, self.scores)
        self.steps = torch.where(going, step.index, self.steps)
        return bool((self.scores >= self.score).all())


def _thinned(way: Tensor, points: int) -> list[list[float]]:
    """Return at most ``points`` rows of ``way`` ``(steps + 1, 2)``, first and last among them, each with its
    step before it."""
    last = len(way) - 1
    rows = sorted({round(last * i / (points - 1)) for i in range(points)})
    return [[row, *(round(value, 4) for value in way[row].tolist())] for row in rows]
