"""Steps along the sign of a probability's gradient, as the panda-to-vulture article takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from attacks.contract import Query, answer
from engine.run import Floats
from engine.work import Evaluates
from experiments.methods.first_order import Ask
from models.core import Classifier


class Steps(NamedTuple):
    """``x`` ``(steps + 1, c, h, w)``: the pictures, the untouched one first; ``p`` ``(steps + 1, classes)``:
    what the network says of each, in [0, 1]."""

    x: Tensor
    p: Tensor


@dataclass(frozen=True, eq=False)
class OneStep:
    """Takes one step of ``size`` along the sign of the gradient of the probability of ``label`` from ``x``
    ``(c, h, w)``, what ``model`` sees of a picture; nothing is cut. A piece of `engine.work`."""

    model: str
    x: Floats
    label: int
    size: float

    def carry_out(self, engine: Evaluates) -> Iterator[Floats]:
        """Yield the change ``(c, h, w)``."""
        ask, x = partial(engine.evaluate, self.model), torch.from_numpy(self.x)[None]
        before, after = step(ask, x, self.label, [self.size], cut=False).x
        yield (after - before).numpy()


def asking(model: Classifier) -> Ask:
    """Return what asks ``model`` where no engine owns it, as in a script."""
    return lambda x, objective=None: answer(model, Query(x, objective))


def step(ask: Ask, x: Tensor, label: int, sizes: Sequence[float], *, cut: bool) -> Steps:
    """Take ``sizes`` (in levels of [0, 1], negative to move away) along the sign of the gradient of the
    probability of ``label`` from ``x`` ``(1, c, h, w)``.

    It is the probability's gradient, not the loss's: to step along it makes the network surer. ``cut``:
    whether what leaves [0, 1] is brought back, as in any picture that can be stored; the article did not.
    """
    pictures, answers = [x], []
    for size in sizes:
        evaluation = ask(pictures[-1], lambda logits: logits.softmax(1)[:, label])
        answers.append(evaluation.logits.softmax(1))
        moved = pictures[-1] + size * evaluation.gradient.sign()
        pictures.append(moved.clamp(0, 1) if cut else moved)
    answers.append(ask(pictures[-1]).logits.softmax(1))
    return Steps(torch.cat(pictures), torch.cat(answers))
