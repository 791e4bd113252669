"""Gradient ascent on a probability by steps of one length, until the model is sure (1806.11186)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from attacks.contract import Criterion, Step, walk
from attacks.toolkit.norms import L2
from attacks.towards import TowardsClass


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where each of ``n`` images ended: at the first step that reached the score, or at the last one.

    ``x``: ``(n, 1, h, w)`` in [0, 1]; ``scores``: ``(n,)``, the target's probability there; ``steps``: how
    many led there; ``first``: the probability of the own class (the model's answer) of the clean image;
    ``curves``: ``(step, own class, target)`` at some of the steps, the last two probabilities in [0, 1].
    """

    x: Tensor
    scores: Tensor
    steps: list[int]
    first: list[float]
    curves: list[list[tuple[int, float, float]]]


@dataclass(frozen=True, eq=False)
class AscentStep:
    """One step of `ascend`, never changed afterwards.

    ``index``: how many steps were made; ``probabilities``: ``(n, 2)``, those of the own class and of the
    target; ``x``, ``scores``, ``steps``: as in `Trajectory`, for the steps so far, tensors of ``n`` rows;
    ``finished``: whether every image reached the score.
    """

    index: int
    probabilities: Tensor
    x: Tensor
    scores: Tensor
    steps: Tensor
    finished: bool


def ascend(
    model: nn.Module,
    temperature: float,
    x: Tensor,
    target: Tensor,
    steps: int,
    score: float = 0.95,
    step_size: float = 1 / 255,
) -> Iterator[AscentStep]:
    """Change ``x`` ``(n, 1, h, w)`` in [0, 1] towards ``target`` ``(n,)`` and yield each step, beginning
    with the clean images: a step follows the gradient of the target's probability (softmax of logits over
    ``temperature``) for ``step_size`` (Euclidean, pixels in [0, 1]; a grey level by default) and is clipped
    to [0, 1]. It ends once all have reached ``score``, or after ``steps``.
    """
    attack = TowardsClass(step_size=step_size, steps=steps, norm=L2.name, ascend="probability")
    criterion = Criterion(target, targeted=True)
    hits, own = FirstHit(x, score), torch.empty(0, dtype=torch.long)
    scaled = TemperatureScaled(model, temperature)
    for step in walk(attack.search(x, criterion, torch.Generator()), scaled, criterion):
        p = step.evaluation.logits.softmax(1)
        own = p.argmax(1) if not step.index else own
        both = torch.stack([p.gather(1, labels[:, None])[:, 0] for labels in (own, target)], 1)
        finished = hits.update(step, both[:, 1])
        yield AscentStep(step.index, both, hits.x, hits.scores, hits.steps, finished)
        if finished:
            return


class Ascent:
    """An `ascend` that is carried out some steps at a time, and its result so far."""

    def __init__(self, x: Tensor, steps: Iterator[AscentStep]) -> None:
        """Begin at the clean images ``x`` ``(n, 1, h, w)``, which are the first of ``steps``."""
        self.x, self._steps = x, steps
        self.last = next(steps)
        self._probabilities = [self.last.probabilities]
        self.finished = self.last.finished

    def advance(self, count: int) -> None:
        """Take up to ``count`` steps more; none where the ascent is finished."""
        if self.finished:
            return
        before = self.last.index
        for step in islice(self._steps, count):
            self.last = step
            self._probabilities.append(step.probabilities)
        self.finished = self.last.finished or self.last.index - before < count

    def trajectory(self, points: int = 60) -> Trajectory:
        """Return the steps so far, their curves in at most ``points`` points or so."""
        return _trajectory(self.last, self._probabilities, points)

    def complete(self, points: int = 30) -> Trajectory:
        """Take all steps that are left, and return their trajectory."""
        while not self.finished:
            self.advance(100)
        return self.trajectory(points)


class TemperatureScaled(nn.Module):
    """A model whose logits are divided by a temperature."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)``."""
        logits: Tensor = self.model(x)
        return logits / self.temperature


class FirstHit:
    """The first image of each row that reaches the score; where none does yet, the latest."""

    def __init__(self, x: Tensor, score: float) -> None:
        self.x, self.score = x, score
        self.scores = torch.zeros(len(x))
        self.steps = torch.zeros(len(x), dtype=torch.long)

    def update(self, step: Step, p: Tensor) -> bool:
        """Take in a step, ``p`` ``(n,)`` being the target's probabilities; return whether all reached it."""
        below = self.scores < self.score
        self.x = torch.where(below[:, None, None, None], step.x, self.x)
        self.scores = torch.where(below, p, self.scores)
        self.steps = torch.where(below, step.index, self.steps)
        return bool((self.scores >= self.score).all())


def _trajectory(last: AscentStep, probabilities: Sequence[Tensor], points: int) -> Trajectory:
    stacked, ends = torch.stack(list(probabilities)), last.steps.tolist()
    curves = [_thinned(stacked[: end + 1, row], points) for row, end in enumerate(ends)]
    return Trajectory(last.x, last.scores, ends, stacked[0, :, 0].tolist(), curves)


def _thinned(probabilities: Tensor, points: int) -> list[tuple[int, float, float]]:
    """Return at most ``points`` rows of ``probabilities`` ``(steps + 1, 2)``, first and last among them, each
    after its step."""
    last = len(probabilities) - 1
    steps = sorted({round(last * i / (points - 1)) for i in range(points)})
    pairs = [probabilities[step].tolist() for step in steps]
    return [(step, round(own, 4), round(target, 4)) for step, (own, target) in zip(steps, pairs, strict=True)]
