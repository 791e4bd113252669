"""A network put on a device that is not the CPU, once it is sure that it computes the same gradients there.

Attacks follow the gradient of the input, and a device's library may get it wrong without a word: MPS did so
for Hardswish with channels-last memory (https://github.com/pytorch/pytorch/issues/107214).
"""

from __future__ import annotations

import logging
import time

import torch
from torch import Tensor

from errors import ModelFailed
from models.core import Classifier

log = logging.getLogger("foolscope")
TOLERANCE = 0.1
"""Length of the difference of two gradients, relative to the gradient's: rounding gives 0.01 at most, an
error of the library about 1."""
LAYOUTS = (torch.channels_last, torch.contiguous_format)
ROUNDS = 3


def placed(model: Classifier, device: torch.device) -> Classifier:
    """Return ``model``, which is on the CPU, on ``device``: in the fastest of the memory layouts in which its
    gradients there are the CPU's.

    Raises `errors.ModelFailed` where there is no such layout.
    """
    images = _images(model)
    with torch.no_grad():
        classes = model(images).argmax(1)
    expected = input_gradient(model, images, classes)
    model, images, classes = model.to(device), images.to(device), classes.to(device)
    seconds: dict[torch.memory_format, float] = {}
    for layout in LAYOUTS:
        model = model.to(memory_format=layout)
        difference = relative_difference(input_gradient(model, images, classes).cpu(), expected)
        if difference <= TOLERANCE:
            seconds[layout] = _seconds(model, images, classes)
        else:
            words = "%s has other gradients on %s as %s than on the CPU (by %.2g)"
            log.warning(words, model.card.title, device, layout, difference)
    if not seconds:
        words = "The gradients of {model} on {device} are not those of the CPU: set FOOLSCOPE_DEVICE=cpu."
        raise ModelFailed(words, model=model.card.title, device=device)
    return model.to(memory_format=min(seconds, key=lambda layout: seconds[layout]))


def input_gradient(model: Classifier, images: Tensor, classes: Tensor) -> Tensor:
    """Return the gradient ``(n, c, h, w)`` of each image's logit of its class in ``classes`` ``(n,)``."""
    x = images.clone().requires_grad_()
    own = model(x).gather(1, classes[:, None])
    (gradient,) = torch.autograd.grad(own.sum(), x)
    return gradient


def relative_difference(gradient: Tensor, expected: Tensor) -> float:
    """Return how long the difference is, relative to ``expected``; infinite where it is not a number."""
    length = float(expected.norm())
    difference = float((gradient - expected).norm())
    if difference != difference:
        return float("inf")
    return difference / length if length else difference


def _images(model: Classifier) -> Tensor:
    """Return two random images ``(2, c, size, size)`` in [0, 1], always the same."""
    shape = (2, model.card.channels, model.card.size, model.card.size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _seconds(model: Classifier, images: Tensor, classes: Tensor) -> float:
    """Return how long a gradient takes at best."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        input_gradient(model, images, classes).sum().item()
        times.append(time.perf_counter() - begun)
    return min(times)
