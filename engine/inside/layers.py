"""Where two pictures part inside a network: layer by layer, how far apart what it makes of them is.

After activation profiles (https://arxiv.org/abs/2103.10229) and AEVis (https://arxiv.org/abs/1810.03913),
which are computed beforehand; this one follows a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.inside.pace import Progress
from engine.inside.recording import recording, single
from engine.robustness.answers import NOISE_SEED, noise
from engine.run import Floats
from models.core import Classifier

MOST = 32
"""Layers that are shown at most."""
PASSED_ON = (nn.Identity, nn.Dropout, nn.Flatten, nn.ZeroPad2d)
"""Layers that change no value while a network answers."""


@dataclass(frozen=True)
class Layer:
    """A layer by its ``name`` within the network, its ``kind``, and what it gives for one picture: channels
    and places, ``(c, h, w)``, ``(tokens, width)`` or ``(units,)``."""

    name: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Distances:
    """Between two pictures, one value a layer: ``cosine`` ``(layers,)``, 1 minus the cosine, in [0, 2], and
    ``l2`` ``(layers,)``, the distance by the length of the second one; NaN where that has no length."""

    cosine: Floats
    l2: Floats


@dataclass(frozen=True)
class Profile:
    """How far apart pictures are, layer by layer: the attacked one from the clean one (``changed``), noise of
    the same size from the clean one (``noise``), and with another picture of the target's class, that from
    the clean one (``photo``) and the attacked one from it (``towards``).

    ``network``: the title of the one that was looked at where several are taken as one, else "".
    """

    layers: tuple[Layer, ...]
    changed: Distances
    noise: Distances
    photo: Distances | None
    towards: Distances | None
    network: str = ""

    @property
    def parting(self) -> int | None:
        """Return the layer from which on, to the last, the attacked picture is nearer (by the cosine) to the
        target's picture than to the clean one; None where it is not so at the last layer."""
        if self.towards is None:
            return None
        nearer = (self.towards.cosine < self.changed.cosine).tolist()
        if not nearer[-1]:
            return None
        return max((index + 1 for index, near in enumerate(nearer) if not near), default=0)

    @property
    def beyond_noise(self) -> Floats:
        """Return how many times as far as noise the attack moved each layer, by l2 ``(layers,)``; not finite
        where noise did not move it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.changed.l2 / self.noise.l2


@dataclass(frozen=True)
class LayerProfile:
    """A probe: one `Profile` of pictures ``(c, size, size)`` in [0, 1]; ``photo`` may be None."""

    clean: Floats
    attacked: Floats
    photo: Floats | None = None
    seed: int = NOISE_SEED

    def pieces(self, network: Classifier) -> Iterator[Progress | Profile]:
        """Yield how far it is, a picture a piece, then the profile."""
        one = single(network)
        clean, attacked = torch.from_numpy(self.clean), torch.from_numpy(self.attacked)
        pictures = [clean, attacked, noise(clean, attacked, self.seed)]
        pictures += [] if self.photo is None else [torch.from_numpy(self.photo)]
        layers = layers_of(one, clean.to(one.mean.device)[None])
        yield Progress(0, len(pictures))
        answers: list[list[Tensor]] = []
        for picture in pictures:
            answers.append(_answers(one, picture.to(one.mean.device), layers))
            yield Progress(len(answers), len(pictures))
        title = one.card.title if one is not network else ""
        yield _profile(layers, answers, title)


def _profile(layers: tuple[Layer, ...], answers: Sequence[Sequence[Tensor]], title: str) -> Profile:
    """Return how far apart ``answers`` are: to the clean picture, the attacked one, noise and perhaps a
    photo, each what every layer gives."""
    clean, attacked, still, *others = answers
    changed, noisy = _distances(attacked, clean), _distances(still, clean)
    if not others:
        return Profile(layers, changed, noisy, None, None, title)
    photo, towards = _distances(others[0], clean), _distances(attacked, others[0])
    return Profile(layers, changed, noisy, photo, towards, title)


def tensor_of(answer: Any) -> Tensor | None:
    """Return what a layer gave as a tensor of numbers, of several the first; None where it is none."""
    if isinstance(answer, tuple | list) and answer:
        answer = answer[0]
    if isinstance(answer, Tensor) and answer.is_floating_point() and answer.dim() > 1:
        return answer
    return None


def layers_of(network: Classifier, picture: Tensor) -> tuple[Layer, ...]:
    """Return at most `MOST` layers in the order in which they answer ``picture`` ``(1, c, size, size)``: all
    of the innermost ones where there are no more than that, else the last one of each block."""
    calls: dict[str, tuple[int, ...]] = {}

    def take(name: str, given: tuple[Any, ...], answer: Any) -> None:
        tensor = tensor_of(answer)
        if tensor is not None and len(tensor) == 1:
            calls.setdefault(name, tuple(tensor.shape[1:]))

    modules = {name: module for name, module in network.named_modules() if name}
    with recording(modules, take), torch.no_grad():
        network(picture)
    passed = {name for name in calls if isinstance(modules[name], PASSED_ON)}
    inner = [name for name in calls if name not in passed and not _has_inner(name, calls)]
    return tuple(Layer(name, type(modules[name]).__name__, calls[name]) for name in _thinned(inner, calls))


def _has_inner(name: str, calls: dict[str, tuple[int, ...]]) -> bool:
    return any(other.startswith(f"{name}.") for other in calls)


def _thinned(inner: Sequence[str], calls: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the names of the layers that are shown: blocks are told apart by as many parts of their names as
    there is room for."""
    deepest = max((name.count(".") + 1 for name in inner), default=0)
    for depth in range(deepest, 0, -1):
        last = {".".join(name.split(".")[:depth]): name for name in inner}
        if len(last) <= MOST:
            shown = [block if block in calls else name for block, name in last.items()]
            return sorted(shown, key=list(calls).index)
    return list(inner)[-MOST:]


def _answers(network: Classifier, picture: Tensor, layers: Sequence[Layer]) -> list[Tensor]:
    """Return what each layer gives for a picture ``(c, size, size)``, as one row of numbers."""
    answers: dict[str, Tensor] = {}

    def take(name: str, given: tuple[Any, ...], answer: Any) -> None:
        tensor = tensor_of(answer)
        if name not in answers and tensor is not None:
            answers[name] = tensor.detach().flatten().float().clone()  # what follows may write into it

    modules = {layer.name: network.get_submodule(layer.name) for layer in layers}
    with recording(modules, take), torch.no_grad():
        network(picture[None])
    return [answers[layer.name] for layer in layers]


def _distances(answers: Sequence[Tensor], others: Sequence[Tensor]) -> Distances:
    rows = [_distance(one.double(), other.double()) for one, other in zip(answers, others, strict=True)]
    table = np.array(rows, np.float32).reshape(-1, 2)
    return Distances(table[:, 0], table[:, 1])


def _distance(one: Tensor, other: Tensor) -> tuple[float, float]:
    apart, length = float((one - other).norm()), float(other.norm())
    if apart == 0:
        return 0.0, 0.0
    cosine = float(functional.cosine_similarity(one, other, 0))
    return 1 - cosine, apart / length if length else float("nan")
