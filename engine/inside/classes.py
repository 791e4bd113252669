"""Which classes a look inside a run is about, and what a network says of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from engine.inside.asking import Asker
from engine.probes import Probe
from engine.run import Floats, Run
from models.core import Classifier

T = TypeVar("T")


@dataclass(frozen=True)
class TowardsGoal(Generic[T]):
    """A probe: ``question`` about what a search asks whose goal is to reach the class ``label``
    (``targeted``) or to leave it: of several networks that must all be fooled, the one that is least fooled
    (`models.ensemble.LeastFooled`); every other network as it is."""

    question: Probe[T]
    label: int
    targeted: bool

    def pieces(self, network: Classifier) -> Iterator[T]:
        """Yield the answers to the question."""
        yield from self.question.pieces(network.against(self.label, self.targeted))


@dataclass(frozen=True)
class Labels:
    """A probe: the class that the network gives each of ``pictures`` ``(n, c, size, size)``, in order."""

    pictures: Floats

    def pieces(self, network: Classifier) -> Iterator[int]:
        """Yield the classes."""
        asker = Asker(network)
        for batch in asker.batches(len(self.pictures)):
            yield from asker.logits(torch.from_numpy(self.pictures[batch])).argmax(1).tolist()


def other_class(run: Run, step: int) -> int:
    """Return the class beside the original one: the target; without a target what the network says at
    ``step``, or at the last step, unless that is the original class; else the most probable other one."""
    if run.recipe.target is not None:
        return run.recipe.target
    for at in (step, len(run) - 1):
        (best,) = run.top(at, 1)
        if best.index != run.original:
            return best.index
    return next(one.index for one in run.top(step, 2) if one.index != run.original)


def fools(run: Run, label: int) -> bool:
    """Return whether an answer is what the run is after: its target, or, without one, another class."""
    target = run.recipe.target
    return label != run.original if target is None else label == target
