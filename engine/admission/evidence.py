"""How a network does with a normalisation, measured on the photos that ship.

By names: how many pictures it names rightly, and how probable it holds the right class. By statistics: how
near the inputs of its first batch normalisation are to the mean and variance that this layer remembers from
training, as the median over channels of the Kullback-Leibler divergence between two normal distributions;
that needs no classes, and tells scales apart that names do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_pre_hook

from engine.admission.subject import Subject, in_batches
from engine.images.sources import samples
from models.added.record import InputFormat

FEW = 8
"""So many photos are looked at where they show none of the network's classes."""
ALIKE = 0.03
"""Normalisations whose results differ by less, in terms of their range, are one."""
LEAST = 1e-12


View = Callable[[Tensor], Tensor]


class Normalisation(NamedTuple):
    """A common normalisation; ``mean`` and ``std`` are in the order in which the network takes channels."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reversed_channels: bool = False

    def applied(self, takes: InputFormat) -> InputFormat:
        """Return the format with this normalisation."""
        return replace(takes, mean=self.mean, std=self.std, reversed_channels=self.reversed_channels)

    def like(self, other: Normalisation) -> bool:
        """Return whether both make the same of an image, to what training would not notice."""
        if self.reversed_channels != other.reversed_channels or len(self.mean) != len(other.mean):
            return False
        numbers = zip(self.mean, self.std, other.mean, other.std, strict=True)
        return all(abs((x - m) / s - (x - n) / d) * s < ALIKE for m, s, n, d in numbers for x in (0.0, 1.0))


CAFFE = (103.939 / 255, 116.779 / 255, 123.68 / 255)
KNOWN_ONES = (
    Normalisation("ImageNet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Normalisation("[-1, 1]", (0.5,) * 3, (0.5,) * 3),
    Normalisation("(255x - 127) / 128", (127 / 255,) * 3, (128 / 255,) * 3),
    Normalisation("[0, 1]", (0.0,) * 3, (1.0,) * 3),
    Normalisation("[0, 255]", (0.0,) * 3, (1 / 255,) * 3),
    Normalisation("Caffe (BGR)", CAFFE, (1 / 255,) * 3, True),
    Normalisation("ImageNet (BGR)", (0.406, 0.456, 0.485), (0.225, 0.224, 0.229), True),
)


@dataclass(frozen=True)
class Evidence:
    """How a network does with a normalisation.

    ``right``: whether each picture ``(views * photos,)`` is named rightly. ``log_probabilities``
    ``(photos,)`` of the right class, the mean over views; both empty where the photos show none of its
    classes. ``confidence``: mean of the greatest probability. ``distinct``: how many classes are answered.
    ``fit``: the divergence from what the first batch normalisation remembers; None without one.
    """

    normalisation: Normalisation
    right: Tensor
    log_probabilities: Tensor
    confidence: float
    distinct: int
    fit: float | None

    @property
    def named(self) -> int:
        """Return how many pictures are named rightly."""
        return int(self.right.sum())

    @property
    def likely(self) -> float:
        """Return the mean log-probability of the right class; 0 where the photos show no class."""
        return float(self.log_probabilities.mean()) if len(self.log_probabilities) else 0.0

    def joined(self, other: Evidence, views: int) -> Evidence:
        """Return the evidence together with that of ``views`` more views."""
        likely = (self.log_probabilities + views * other.log_probabilities) / (1 + views)
        return replace(self, right=torch.cat([self.right, other.right]), log_probabilities=likely)


@dataclass(frozen=True)
class Photos:
    """The shelf's photos ``(n, c, size, size)`` in [0, 1]; ``classes``: those right for the first photos."""

    images: Tensor
    classes: tuple[tuple[int, ...], ...]

    @property
    def shown(self) -> Tensor:
        """Return those that show a class of the network."""
        return self.images[: len(self.classes)]


def photos_for(subject: Subject) -> Photos:
    """Return the photos, those first that show classes of the network."""
    index = {label.casefold(): i for i, label in enumerate(subject.labels)}
    kinds = {
        sample.name: tuple(index[word.casefold()] for word in sample.shows if word.casefold() in index)
        for sample in samples().values()
        if sample.file and sample.channels == 3
    }
    names = sorted(kinds, key=lambda name: not kinds[name])
    return Photos(subject.images(names), tuple(kinds[name] for name in names if kinds[name]))


def own_normalisation(takes: InputFormat) -> Normalisation:
    """Return the subject's own normalisation, under its common name if it has one."""
    own = Normalisation("", takes.mean, takes.std, takes.reversed_channels)
    known = next((one.name for one in KNOWN_ONES if one.like(own)), "")
    numbers = "mean {}, std {}".format(*(numbers_text(part) for part in (own.mean, own.std)))
    return own._replace(name=known or numbers)


def others(own: Normalisation) -> list[Normalisation]:
    """Return the common normalisations, those left out that are like the own one or like one before."""
    rest: list[Normalisation] = []
    for one in KNOWN_ONES:
        if not any(one.like(other) for other in (own, *rest)):
            rest.append(one)
    return rest


def measured(
    subject: Subject,
    one: Normalisation,
    photos: Photos,
    views: Sequence[View] = (torch.clone,),
) -> Evidence:
    """Return how a network does with ``one`` normalisation on ``views`` of the photos."""
    other = replace(subject, takes=one.applied(subject.takes))
    classifier = other.classifier()
    images = photos.shown if photos.classes else photos.images[:FEW]
    logs = torch.stack([in_batches(classifier, view(images)).log_softmax(1) for view in views])
    best = logs.argmax(2)
    right, likely = torch.zeros(0), torch.zeros(0)
    if photos.classes:
        right = torch.stack(
            [
                torch.tensor([int(i) in kinds for i, kinds in zip(row, photos.classes, strict=True)])
                for row in best
            ]
        )
        likely = torch.stack(
            [logs[:, i, list(kinds)].logsumexp(1).mean() for i, kinds in enumerate(photos.classes)]
        )
    confidence = float(logs[0].max(1).values.exp().mean())
    distinct = len(best[0].unique())
    return Evidence(one, right.flatten(), likely, confidence, distinct, _fit(classifier, photos.images))


class _Reached(Exception):  # noqa: N818
    """The first batch normalisation was reached; the rest need not be computed."""


def _fit(classifier: nn.Module, images: Tensor) -> float | None:
    """Return how far the inputs of the first batch normalisation are from what it remembers; None without
    one, or when it never learnt."""
    if not any(map(_learnt, classifier.modules())):
        return None
    parts: list[Tensor] = []
    norms: list[nn.BatchNorm2d] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.BatchNorm2d):
            parts.append(inputs[0].detach())
            norms.append(module)
            raise _Reached

    hook = register_module_forward_pre_hook(note)
    try:
        for part in images.split(1):
            with torch.no_grad():
                try:
                    classifier(part)
                except _Reached:
                    continue
                return None
    finally:
        hook.remove()
    return _divergence(torch.cat(parts), norms[0])


def _learnt(module: nn.Module) -> bool:
    """Return whether a module is a batch normalisation whose statistics are not those it began with."""
    if not isinstance(module, nn.BatchNorm2d) or module.running_var is None or module.running_mean is None:
        return False
    return bool(module.running_mean.any()) and not bool((module.running_var == 1).all())


def _divergence(inputs: Tensor, norm: nn.BatchNorm2d) -> float | None:
    if not _learnt(norm) or norm.running_var is None or norm.running_mean is None:
        return None
    used = norm.running_var > 1e-4 * norm.running_var.median()
    mean, variance = inputs.mean((0, 2, 3))[used], inputs.var((0, 2, 3))[used].clamp_min(LEAST)
    expected, spread = norm.running_mean[used], norm.running_var[used]
    ratio = variance / spread
    divergence = 0.5 * (ratio + (mean - expected) ** 2 / spread - 1 - ratio.log())
    return float(divergence.median()) if len(divergence) else None


VIEWS: tuple[View, ...] = (
    lambda x: x.transpose(2, 3),
    lambda x: 0.4 * x + 0.6,
    lambda x: functional.interpolate(
        functional.interpolate(x, scale_factor=0.25, mode="area"), size=x.shape[-2:], mode="bilinear"
    ),
)
"""Photos turned, bright, coarse."""


def numbers_text(values: Sequence[float]) -> str:
    """Return numbers as options of the command line take them."""
    return ",".join(f"{value:.5g}" for value in values)
