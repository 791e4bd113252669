"""A network put on its device in the layout in which it is fastest and computes the gradients that it should.

Attacks follow the gradient of the input, and a device's library may get it wrong without a word: MPS did so
for Hardswish with channels-last memory (https://github.com/pytorch/pytorch/issues/107214). So every layout is
compared with the network as it was built, on the CPU.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from statistics import median

import torch
from torch import Tensor, nn

from engine.device import free_memory, out_of_memory
from engine.layouts import Choice, Choices, Measured, Rejected, key_of
from errors import ModelFailed
from models.core import Classifier
from models.fusion import fold
from models.layouts import Layout, by_rule, laid_out

log = logging.getLogger("foolscope")
TOLERANCE = 0.1
"""Length of the difference of two gradients, relative to the gradient's: rounding gives 0.01 at most, an
error of the library about 1."""
CLEAR = 0.95
"""A layout takes the place of the rule's where its median time is below this share of the rule's least."""
SECONDS, MOST_SECONDS = 0.8, 1.2
"""No further pass over the layouts begins after the first; on a CPU nothing is measured of a network of which
the least number of passes would take longer than the second: the rule holds, until the machine has time."""
GRADIENT = 3
"""A gradient takes about so many times as long as an answer."""
MOST_PASSES, LEAST_PASSES = 20, 2
"""Of fewer passes than the second nothing is concluded: the rule holds."""


def placed(model: Classifier, device: torch.device, choices: Choices | None = None) -> Classifier:
    """Return ``model``, which is on the CPU, on ``device``, in the layout that was remembered among
    ``choices``, else in the one that is measured now; None: nothing is remembered.

    Raises `errors.ModelFailed` where no layout has the gradients that the CPU computes; whatever is raised,
    the model is on the CPU as it was.
    """
    network = model.network
    try:
        return _placed(model, device, choices)
    except Exception:
        model.network = network
        model.to("cpu")
        raise


def _placed(model: Classifier, device: torch.device, choices: Choices | None) -> Classifier:
    choice = choices.get(model.card, device) if choices else None
    if choice and device.type == "cpu":
        model.network = laid_out(model.network, choice.layout)
        return model.to(device)
    trial = Trial(model, device)
    if choice and trial.difference(choice.layout) <= TOLERANCE:
        return trial.laid_out(choice.layout)
    if trial.takes_long:
        return trial.laid_out(trial.rule)
    choice = _chosen(trial)
    if choices:
        choices.remember(choice)
    log.info("%s runs %s on %s", model.card.name, choice.layout, device)
    return trial.laid_out(choice.layout)


def _chosen(trial: Trial) -> Choice:
    """Return the choice that is measured; where the device has no memory for two layouts, the rule's."""
    try:
        return _measured(trial)
    except Exception as error:
        if not out_of_memory(error):
            raise
    words = "there is no memory on %s to measure the layouts of %s: it runs %s"
    log.warning(words, trial.device, trial.model.card.name, trial.rule)
    trial.forget_others()
    return _measured(trial)


class Trial:
    """A model in its layouts on a device. ``layouts``: those that differ, the rule's first."""

    def __init__(self, model: Classifier, device: torch.device) -> None:
        self.model, self.device = model, device
        rule, folded = by_rule(model.network), fold(model.network)
        self._networks: dict[bool, nn.Module] = {False: model.network, True: folded}
        self.layouts = _layouts(rule, can_be_folded=folded is not model.network)
        self.rule = self.layouts[0]
        images = _images(model, 1 if device.type == "cpu" else 2)
        classes, self._forward_seconds = _answered(model, images)
        self._expected = None if self.takes_long else input_gradient(model, images, classes)
        self._images, self._classes = images.to(device), classes.to(device)

    @property
    def takes_long(self) -> bool:
        """Say whether measuring, on a CPU, would keep whoever waits for the model."""
        gradients = (1 + LEAST_PASSES) * len(self.layouts)
        return self.device.type == "cpu" and GRADIENT * gradients * self._forward_seconds > MOST_SECONDS

    def laid_out(self, layout: Layout) -> Classifier:
        """Return the model in a layout, on the device."""
        self.model.network = self._networks[layout.folded]
        self.model.to(self.device)
        self.model.network.to(memory_format=layout.memory_format)
        return self.model

    def forget_others(self) -> None:
        """Leave the rule's layout alone, and give back the device's memory of the others."""
        self.layouts = [self.rule]
        for network in self._networks.values():
            network.to("cpu")
        self.model.to("cpu")
        self._networks = {self.rule.folded: self._networks[self.rule.folded]}
        free_memory(self.device)

    def difference(self, layout: Layout) -> float:
        """Return how far the gradients in a layout are from those on the CPU, relative to their length."""
        assert self._expected is not None  # else nothing is measured
        model = self.laid_out(layout)
        return relative_difference(input_gradient(model, self._images, self._classes).cpu(), self._expected)

    def seconds(self, layout: Layout) -> float:
        """Return how long a gradient for one image takes in a layout."""
        model = self.laid_out(layout)
        begun = time.perf_counter()
        input_gradient(model, self._images[:1], self._classes[:1]).sum().item()
        return time.perf_counter() - begun


def _layouts(rule: Layout, *, can_be_folded: bool) -> list[Layout]:
    """Return the layouts to choose among: the rule's, the other memory layout, and nothing folded."""
    folded = rule.folded and can_be_folded
    layouts = [Layout(folded, rule.channels_last), Layout(folded, not rule.channels_last)]
    return [*layouts, Layout(False, rule.channels_last)] if folded else layouts


def _measured(trial: Trial) -> Choice:
    """Return the choice among the layouts with the right gradients; raises `errors.ModelFailed`."""
    begun, card = time.perf_counter(), trial.model.card
    sound, rejected = list[Layout](), list[Rejected]()
    for layout in trial.layouts:
        difference = trial.difference(layout)
        if difference <= TOLERANCE:
            sound.append(layout)
            continue
        rejected.append(Rejected(layout, difference))
        words = "%s has other gradients on %s as %s than on the CPU (by %.2g)"
        log.warning(words, card.title, trial.device, layout, difference)
    if not sound:
        words = "The gradients of {model} on {device} are not those of the CPU: set FOOLSCOPE_DEVICE=cpu."
        raise ModelFailed(words, model=card.title, device=trial.device)
    if len(sound) == 1:
        return Choice(*key_of(card, trial.device), sound[0], (), tuple(rejected))
    seconds = _raced(trial, sound, begun + SECONDS)
    measured = tuple(Measured(layout, median(times)) for layout, times in seconds.items())
    return Choice(*key_of(card, trial.device), fastest(seconds), measured, tuple(rejected))


def fastest(seconds: dict[Layout, list[float]]) -> Layout:
    """Return the layout with the least median of its times, or the first one unless that is clearly slower:
    the other's median is below `CLEAR` of its least time, in as many passes as are needed."""
    rule, *_ = seconds
    best = min(seconds, key=lambda layout: median(seconds[layout]))
    enough = len(seconds[rule]) >= LEAST_PASSES
    return best if enough and median(seconds[best]) < CLEAR * min(seconds[rule]) else rule


def _raced(trial: Trial, layouts: Sequence[Layout], end: float) -> dict[Layout, list[float]]:
    """Return the seconds of every layout, one a pass over all of them, so that whatever else the machine does
    falls on all alike. ``end``: when no further pass begins."""
    seconds: dict[Layout, list[float]] = {layout: [] for layout in layouts}
    for _ in range(MOST_PASSES):
        for layout in layouts:
            seconds[layout].append(trial.seconds(layout))
        if time.perf_counter() >= end:
            break
    return seconds


def input_gradient(model: Classifier, images: Tensor, classes: Tensor) -> Tensor:
    """Return the gradient ``(n, c, h, w)`` of each image's logit of its class in ``classes`` ``(n,)``."""
    with torch.enable_grad():  # whoever loads a network may want none
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


def _answered(model: Classifier, images: Tensor) -> tuple[Tensor, float]:
    """Return the most probable classes ``(n,)`` and how many seconds an answer takes, once it was asked."""
    with torch.no_grad():
        model(images)
        begun = time.perf_counter()
        return model(images).argmax(1), time.perf_counter() - begun


def _images(model: Classifier, n: int) -> Tensor:
    """Return random images ``(n, c, size, size)`` in [0, 1], always the same."""
    shape = (n, model.card.channels, model.card.size, model.card.size)
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))
