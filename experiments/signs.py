"""Steps along the sign of a probability's gradient, as the panda-to-vulture article takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.core import Classifier


class Steps(NamedTuple):
    """``x`` ``(steps + 1, c, h, w)``: the pictures, the untouched one first; ``p`` ``(steps + 1, classes)``:
    what the network says of each, in [0, 1]."""

    x: Tensor
    p: Tensor


def gradient(model: Classifier, x: Tensor, label: int) -> Tensor:
    """Return the gradient of the probability of ``label`` at ``x`` ``(1, c, h, w)``: the same shape.

    It is the probability's, not the loss's: to step along it makes the network surer.
    """
    at = x.detach().clone().requires_grad_()
    (grad,) = torch.autograd.grad(model(at).softmax(1)[0, label], at)
    return grad


def step(model: Classifier, x: Tensor, label: int, sizes: Sequence[float], *, cut: bool) -> Steps:
    """Take ``sizes`` (in levels of [0, 1], negative to move away) along the gradient's sign from ``x``
    ``(1, c, h, w)``. ``cut``: whether what leaves [0, 1] is brought back, as in any picture that can be
    stored; the article did not.
    """
    pictures = [x]
    for size in sizes:
        moved = pictures[-1] + size * gradient(model, pictures[-1], label).sign()
        pictures.append(moved.clamp(0, 1) if cut else moved)
    whole = torch.cat(pictures)
    with torch.no_grad():
        answers = [model(part).softmax(1) for part in whole.split(8)]
    return Steps(whole, torch.cat(answers))
