"""Up the gradient of a probability by steps of one length, until the network is sure (1806.11186)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attacks.contract import Criterion, Step, walk
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


class Moment(NamedTuple):
    """One step of `climb`, never changed afterwards. ``number``: how many steps were made; ``pair``:
    ``(n, 2)``, the probabilities of the own class and of the target; ``x``, ``scores``, ``steps``: as in
    `Trail`, for the way so far, tensors of ``n`` rows; ``over``: whether every picture reached the score."""

    number: int
    pair: Tensor
    x: Tensor
    scores: Tensor
    steps: Tensor
    over: bool


def climb(
    network: nn.Module,
    temperature: float,
    x: Tensor,
    target: Tensor,
    steps: int,
    score: float = 0.95,
    step_size: float = 1 / 255,
) -> Iterator[Moment]:
    """Change ``x`` ``(n, 1, h, w)`` in [0, 1] towards ``target`` ``(n,)`` and yield each step, the untouched
    pictures first: a step follows the gradient of the target's probability (softmax of logits over
    ``temperature``) for ``step_size`` (Euclidean, pixels in [0, 1]; a grey level by default) and is clipped
    to [0, 1]. It ends once all have reached ``score``, or after ``steps``.
    """
    attack = TowardsClass(step_size=step_size, steps=steps, norm="l2", ascend="probability")
    criterion = Criterion(target, targeted=True)
    ends, own = Ends(x, score), torch.empty(0, dtype=torch.long)
    for step in walk(attack.search(x, criterion, torch.Generator()), Cooled(network, temperature), criterion):
        p = step.evaluation.logits.softmax(1)
        own = p.argmax(1) if not step.index else own
        pair = torch.stack([p.gather(1, each[:, None])[:, 0] for each in (own, target)], 1)
        over = ends.hear(step, pair[:, 1])
        yield Moment(step.index, pair, ends.x, ends.scores, ends.steps, over)
        if over:
            return


class Way:
    """A `climb` that goes on when it is told to, and what came of it so far."""

    def __init__(self, x: Tensor, moments: Iterator[Moment]) -> None:
        """Begin at the untouched pictures ``x`` ``(n, 1, h, w)``, which are the first of ``moments``."""
        self.x, self._moments = x, moments
        self.now = next(moments)
        self._pairs = [self.now.pair]
        self.over = self.now.over

    def go_on(self, count: int) -> None:
        """Take up to ``count`` steps more; nothing where the way is over."""
        if self.over:
            return
        before = self.now.number
        for moment in islice(self._moments, count):
            self.now = moment
            self._pairs.append(moment.pair)
        self.over = self.now.over or self.now.number - before < count

    def trail(self, points: int = 60) -> Trail:
        """Return the way so far, its curves in at most ``points`` points or so."""
        return _trail(self.now, self._pairs, points)

    def whole(self, points: int = 30) -> Trail:
        """Go to the end, and return the way there."""
        while not self.over:
            self.go_on(100)
        return self.trail(points)


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


def _trail(last: Moment, pairs: Sequence[Tensor], points: int) -> Trail:
    way, ends = torch.stack(list(pairs)), last.steps.tolist()
    curves = [_thinned(way[: end + 1, row], points) for row, end in enumerate(ends)]
    return Trail(last.x, last.scores, ends, way[0, :, 0].tolist(), curves)


def _thinned(way: Tensor, points: int) -> list[list[float]]:
    """Return at most ``points`` rows of ``way`` ``(steps + 1, 2)``, first and last among them, each with its
    step before it."""
    last = len(way) - 1
    rows = sorted({round(last * i / (points - 1)) for i in range(points)})
    return [[row, *(round(value, 4) for value in way[row].tolist())] for row in rows]
