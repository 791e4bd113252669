"""Which classes a look inside a run is about, and what a network says of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from engine.inside.asking import Asker
from engine.run import Run
from models.core import Classifier


@dataclass(frozen=True)
class Labels:
    """A probe: the class that the network gives each of ``pictures`` ``(n, c, size, size)``, in order."""

    pictures: Tensor

    def pieces(self, network: Classifier) -> Iterator[int]:
        """Yield the classes."""
        asker = Asker(network)
        for batch in asker.batches(len(self.pictures)):
            yield from asker.logits(self.pictures[batch]).argmax(1).tolist()


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
