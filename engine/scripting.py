"""Attacks on a network of one's own from Python, step by step, without a page.

from engine import attack

for step in attack(network, images, "pgd", target=3, epsilon=8 / 255):
    print(step.index, step.predictions, step.success)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import attacks
from attacks.contract import Criterion, Step, Stop, walk
from errors import BadSetting, BadTarget

Value = float | int | bool | str


@dataclass(frozen=True, eq=False)
class AttackStep:
    """A point of a trajectory, of which the first, with ``index`` 0, is the untouched images.

    ``images``: ``(n, c, h, w)`` in [0, 1]. ``logits``: ``(n, classes)``. ``predictions``: the most probable
    class ``(n,)``. ``success``: whether the goal is reached ``(n,)``. ``linf``, ``l2``: how far the images
    are from the untouched ones ``(n,)``, on the [0, 1] pixel scale.
    """

    index: int
    images: Tensor
    logits: Tensor
    predictions: Tensor
    success: Tensor
    linf: Tensor
    l2: Tensor

    @property
    def probabilities(self) -> Tensor:
        """Return the probability of every class, ``(n, classes)``."""
        return torch.softmax(self.logits, 1)


def attack(
    network: nn.Module,
    images: Tensor,
    name: str = "pgd",
    *,
    labels: Tensor | Sequence[int] | None = None,
    target: int | Tensor | Sequence[int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    stop: Stop | None = None,
    seed: int = 0,
    **settings: Value,
) -> Iterator[AttackStep]:
    """Yield the steps of the attack called ``name`` on ``network``, which maps normalised images to logits.

    ``images``: ``(n, c, h, w)`` in [0, 1], on the network's device. ``labels``: the classes to leave
    ``(n,)``, by default what the network says; ``target``: the class to reach instead, one for all or one an
    image. ``mean`` and ``std``: of the normalisation, per channel; None where the network takes images as
    they are. ``stop``: when to end early, by default never. ``settings``: the attack's own, as
    ``python -m app attacks`` lists them. The network is in evaluation mode meanwhile, and its
    weights get no gradients.

    Raises `errors.UnknownName`, `errors.BadSetting` and `errors.BadTarget` at the first step.
    """
    if images.ndim != 4 or not bool(((images >= 0) & (images <= 1)).all()):
        raise BadSetting(
            "Expected images (n, channels, height, width) in [0, 1], got {got}.", got=_seen(images)
        )
    model = _normalised(network, images, mean, std)
    search = attacks.get(name)(**settings)
    with _evaluating(network):
        criterion = _criterion(model, images, labels, target)
        rng = torch.Generator().manual_seed(seed)
        for step in walk(search.search(images.detach(), criterion, rng), model, criterion, stop):
            yield _described(step, images, criterion)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Keep a network in evaluation mode and its weights without gradients."""
    modes = {module: module.training for module in network.modules()}
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        for parameter in wanted:
            parameter.requires_grad_(True)


def _normalised(
    network: nn.Module, images: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None
) -> Callable[[Tensor], Tensor]:
    """Return the network as a function of images in [0, 1]."""
    if mean is None and std is None:
        return network
    channels = images.shape[1]
    centre, scale = (
        images.new_tensor(default if given is None else given).view(-1, 1, 1)
        for given, default in ((mean, [0.0]), (std, [1.0]))
    )
    if not {len(centre), len(scale)} <= {1, channels} or not bool((scale > 0).all()):
        words = "Expected mean and std with one number a channel ({channels}), std above 0."
        raise BadSetting(words, channels=channels)
    return lambda x: network((x - centre) / scale)


def _criterion(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor | Sequence[int] | None,
    target: int | Tensor | Sequence[int] | None,
) -> Criterion:
    """Return what counts as success; raises `errors.BadTarget` for classes that are not there."""
    with torch.no_grad():
        logits = model(images)
    if target is None and labels is None:
        return Criterion(logits.argmax(1), targeted=False)
    wanted = torch.as_tensor(labels if target is None else target, device=images.device)
    wanted = wanted.expand(len(images)) if wanted.ndim == 0 else wanted
    classes = logits.shape[1]
    if wanted.shape != (len(images),) or not bool(((wanted >= 0) & (wanted < classes)).all()):
        words = "Expected one class for each of {n} images, from 0 to {last}, got {got}."
        raise BadTarget(words, n=len(images), last=classes - 1, got=wanted.tolist())
    return Criterion(wanted.long(), targeted=target is not None)


def _described(step: Step, images: Tensor, criterion: Criterion) -> AttackStep:
    logits = step.evaluation.logits
    delta = (step.x - images).flatten(1)
    return AttackStep(
        step.index,
        step.x.detach(),
        logits,
        logits.argmax(1),
        criterion.met(logits),
        delta.abs().amax(1),
        delta.norm(dim=1),
    )


def _seen(images: Tensor) -> str:
    shape = tuple(images.shape)
    return (
        f"{shape} from {float(images.min()):.3g} to {float(images.max()):.3g}"
        if images.numel()
        else f"{shape}"
    )
