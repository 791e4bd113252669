"""Which channels of a layer an attack moved most, and what excites them: parts of other pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.inside.layers import tensor_of
from engine.inside.pace import Pace, Progress
from engine.inside.recording import recording, single
from engine.robustness.answers import NOISE_SEED, noise
from engine.run import Floats
from models.core import Classifier

MOST = 4
"""Channels that are shown."""
MASS = 0.9
"""The share of the gradient that the square which a place of a layer sees must hold."""


@dataclass(frozen=True)
class ChannelChange:
    """What happened to a channel: its mean over all places at the clean picture, at the attacked one and at
    noise of the same size; ``size``: the mean of how much the attack moved a place, up or down."""

    channel: int
    clean: float
    attacked: float
    noise: float
    size: float


@dataclass(frozen=True)
class ChannelChanges:
    """A probe: the channels of the layer called ``layer`` that the attack moved most, as a tuple of
    `ChannelChange`, the most moved first; pictures are ``(c, size, size)`` in [0, 1]."""

    clean: Floats
    attacked: Floats
    layer: str
    most: int = MOST
    seed: int = NOISE_SEED

    def pieces(self, network: Classifier) -> Iterator[tuple[ChannelChange, ...]]:
        """Yield the channels."""
        clean, attacked = torch.from_numpy(self.clean), torch.from_numpy(self.attacked)
        pictures = torch.stack([clean, attacked, noise(clean, attacked, self.seed)])
        values = placed(_activations(network, pictures, self.layer)).flatten(2)
        sizes, means = (values[1] - values[0]).abs().mean(1), values.mean(2)
        order = sizes.topk(min(self.most, len(sizes))).indices.tolist()
        rows = torch.cat([means, sizes[None]]).T.tolist()
        yield tuple(ChannelChange(k, *_four(rows[k])) for k in order)


@dataclass(frozen=True)
class Peaks:
    """Where the channels of a layer answer most, in one of many pictures: ``values`` ``(channels,)``, and
    ``places`` ``(channels, 2)``, the middle as fractions of height and width, in [0, 1]; without places, as
    in a layer of single units, the middle of the picture."""

    picture: int
    values: Floats
    places: Floats


@dataclass(frozen=True)
class ShelfPeaks:
    """A probe: `Peaks` of the layer called ``layer`` in each of ``pictures`` ``(n, c, size, size)``."""

    pictures: Floats
    layer: str

    def pieces(self, network: Classifier) -> Iterator[Progress | Peaks]:
        """Yield the peaks of each picture, in order, and how far it is."""
        pace = Pace(8)
        for part in pace.parts(len(self.pictures)):
            with pace.piece(part.stop - part.start):
                ask = partial(_activations, network, layer=self.layer)
                answers = pace.in_parts(ask, torch.from_numpy(self.pictures[part]))
            for picture, answer in enumerate(answers, part.start):
                yield _peaks(picture, answer)
            yield Progress(part.stop, len(self.pictures))


@dataclass(frozen=True)
class Seen:
    """A probe: the side, in pixels, of the square around its middle which the middle place of ``layer`` sees
    of ``picture``: the smallest one with `MASS` of the gradient's absolute values (the effective receptive
    field, Luo et al. 2016, https://arxiv.org/abs/1701.04128). All of the picture where the layer has no
    places."""

    picture: Floats
    layer: str

    def pieces(self, network: Classifier) -> Iterator[int]:
        """Yield the side."""
        one, size = single(network), self.picture.shape[-1]
        leaf = torch.from_numpy(self.picture[None]).to(one.mean.device, copy=True).requires_grad_()
        with torch.enable_grad():
            answer = _hooked(one, leaf, self.layer)
        answer = placed(answer)
        if answer.shape[-1] < 2:
            yield size
            return
        rows, columns = answer.shape[-2] // 2, answer.shape[-1] // 2
        seen = answer[0, :, rows, columns].abs().sum()  # the plain sum is constant after a LayerNorm
        (grad,) = torch.autograd.grad(seen, leaf)
        middle = tuple((at + 0.5) / of for at, of in ((rows, answer.shape[-2]), (columns, answer.shape[-1])))
        yield _side(grad[0].abs().sum(0).cpu(), middle)


def _side(mass: Tensor, middle: tuple[float, ...]) -> int:
    """Return the side of the square around ``middle`` that holds `MASS` of ``mass`` ``(size, size)``."""
    size, total = mass.shape[-1], float(mass.sum())
    y, x = (round(at * size) for at in middle)
    for half in range(1, size):
        rows, columns = slice(max(0, y - half), y + half), slice(max(0, x - half), x + half)
        if total == 0 or float(mass[rows, columns].sum()) >= MASS * total:
            return min(size, 2 * half)
    return size


def _hooked(network: Classifier, batch: Tensor, layer: str) -> Tensor:
    """Return what ``layer`` gives for a batch, with its graph where gradients are on."""
    answers: list[Tensor] = []

    def take(name: str, given: tuple[Any, ...], answer: Any) -> None:
        tensor = tensor_of(answer)
        if tensor is not None and not answers:
            answers.append(tensor.clone())  # what follows may write into it

    with recording({layer: network.get_submodule(layer)}, take):
        network(batch)
    return answers[0]


def _activations(network: Classifier, pictures: Tensor, layer: str) -> Tensor:
    one = single(network)
    with torch.no_grad():
        return _hooked(one, pictures.to(one.mean.device), layer).float().cpu().clone()


def _four(row: list[float]) -> tuple[float, float, float, float]:
    clean, attacked, still, size = row
    return clean, attacked, still, size


def has_places(shape: Sequence[int]) -> bool:
    """Say whether a layer that gives ``shape`` for one picture has places that lie in rows and columns."""
    if len(shape) == 3:
        return shape[1 if _widths_last(shape) else 2] > 1
    return len(shape) == 2 and math.isqrt(shape[0]) > 1


def _widths_last(shape: Sequence[int]) -> bool:
    """Say whether ``(rows, columns, width)`` is the order of what a layer gives for one picture."""
    return shape[0] == shape[1] != shape[2]


def placed(answers: Tensor) -> Tensor:
    """Return answers of a layer for square pictures as ``(n, channels, rows, columns)``.

    Of tokens ``(n, tokens, width)`` the widths are channels, and the last ones that fill a square are its
    places, for tokens without a place come first; of ``(n, rows, columns, width)``, as within windows of
    attention, the widths are channels too; of units ``(n, units)`` each is a channel with one place.
    """
    if answers.dim() == 4:
        return answers.permute(0, 3, 1, 2) if _widths_last(answers.shape[1:]) else answers
    if answers.dim() == 3:
        side = math.isqrt(answers.shape[1])
        patches = answers[:, answers.shape[1] - side**2 :].transpose(1, 2)
        return patches.reshape(*patches.shape[:2], side, side)
    return answers[:, :, None, None] if answers.dim() == 2 else answers.flatten(2)[..., None]


def _peaks(picture: int, answer: Tensor) -> Peaks:
    (channels,) = placed(answer[None])
    values, at = channels.flatten(1).max(1)
    height, width = channels.shape[1:]
    places = torch.stack([(at // width + 0.5) / height, (at % width + 0.5) / width], 1)
    return Peaks(picture, values.numpy(), places.numpy())


def strongest(peaks: Sequence[Peaks], channel: int, most: int) -> list[Peaks]:
    """Return the ``most`` pictures that excite ``channel`` most, the strongest first."""
    return sorted(peaks, key=lambda one: -float(one.values[channel]))[:most]
