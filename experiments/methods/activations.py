"""What the layers of a network give out: the representations that the experiments look into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor, nn

from errors import BadSetting, UnknownName
from models.core import Classifier

HIDDEN = ""
"""The name of what the last fully connected layer is given: the last hidden layer, whatever computes it."""


class Layer(NamedTuple):
    """One layer at work: what it was given and what it gave, both with the pictures as first dimension.

    ``name``: that of the module in the network; from its second call on with the call's number behind it.
    """

    name: str
    module: nn.Module
    before: Tensor
    after: Tensor


Watch = Callable[[Layer], None]


def observe(model: Classifier, x: Tensor, watch: Watch, only: str | None = None) -> Tensor:
    """Return the logits ``(n, classes)`` of ``x``; meanwhile call ``watch`` with every layer, in order.

    A layer is a module without parts. What it gave may be overwritten by the next layer in place, so
    ``watch`` copies what it stores, and it calls no module; what a layer was given is a copy. ``only``: the
    name of the one module to watch. What a network computes between its modules (a sum, a mean) is seen
    as what the next is given.
    """
    calls: Counter[str] = Counter()
    given: dict[str, Tensor] = {}

    def hold(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, inputs: given.update({name: inputs[0].clone()})

    def report(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            calls[name] += 1
            numbered = name if calls[name] == 1 else f"{name} ({calls[name]})"
            watch(Layer(numbered, module, given.pop(name), output))

        return hook

    with ExitStack() as stack, torch.no_grad():
        for name, module in model.network.named_modules():
            if not list(module.children()) and only in (None, name):
                stack.callback(module.register_forward_pre_hook(hold(name)).remove)
                stack.callback(module.register_forward_hook(report(name)).remove)
        logits: Tensor = model(x)
        return logits


def blank(model: Classifier, n: int = 1) -> Tensor:
    """Return ``n`` grey pictures of the size that ``model`` takes."""
    return torch.full((n, model.card.channels, model.card.size, model.card.size), 0.5)


def names(model: Classifier) -> list[str]:
    """Return the names of the layers in the order in which they work."""
    layers: list[str] = []
    observe(model, blank(model), lambda layer: layers.append(layer.name))
    return layers


def last_linear(model: Classifier) -> str | None:
    """Return the name of the last fully connected layer, None for a network without one."""
    linear: list[str] = []

    def watch(layer: Layer) -> None:
        if isinstance(layer.module, nn.Linear):
            linear.append(layer.name)

    observe(model, blank(model), watch)
    return linear[-1] if linear else None


def features(model: Classifier, x: Tensor, layer: str = HIDDEN, batch: int = 100) -> Tensor:
    """Return what ``layer`` gives out for pictures ``x``, ``(n, units)``: each value of a map is a unit.

    Raises `errors.UnknownName` for a layer that is not there, `errors.BadSetting` where the `HIDDEN`
    layer is asked of a network that has no fully connected one.
    """
    parts: list[Tensor] = []
    wanted = layer or last_linear(model)
    if wanted is None:
        raise BadSetting(f"{model.card.title} has no fully connected layer; name one of its layers.")

    def watch(seen: Layer) -> None:
        if seen.name == wanted:
            parts.append((seen.before if layer == HIDDEN else seen.after.clone()).flatten(1))

    for images in x.split(batch):
        observe(model, images, watch, wanted.partition(" (")[0])
    if not parts:
        raise UnknownName.of("layer", wanted, names(model))
    return torch.cat(parts)
