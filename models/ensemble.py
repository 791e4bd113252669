"""Several networks as one, in three kinds: ``a+b`` is the first, ``a+b@probabilities`` and ``a+b@worst`` are
the others.

- The mean of their log-probabilities. Dong et al. 2018 (https://arxiv.org/abs/1710.06081, on attacking
  ensembles) average logits, which fools networks that were not attacked more often than averaged
  probabilities do. Log-probabilities are logits up to a constant of each image, so that their mean has the
  same softmax as that of the logits.
- ``probabilities``: the logarithm of the mean of their probabilities (Liu et al. 2017,
  https://arxiv.org/abs/1611.02770, section 2, with equal weights).
- ``worst``: the picture must fool every one of them. At each picture the least fooled network answers, that
  whose margin towards the goal is least, with its own log-probabilities and its own gradient, so that a goal
  is met exactly when every network meets it. It is the inner maximum of the min-max attack of Wang et al.
  2021 (https://arxiv.org/abs/1906.03563); the gradient of a maximum is that of its active member (Danskin).

No map from pictures to logits that does not know the goal can be the worst case: where one network says a and
another b, leaving a has failed, so that the first class would have to be a, and leaving b has failed too. The
goal comes with `Classifier.against`; without one, as when a picture is classified, a worst case answers as
the first kind does.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

import torch
from torch import Tensor, nn

from errors import BadSetting
from models.core import Card, Classifier, WeightsFile, fitted

JOINT = "+"
"""What stands between the names of networks that are taken as one."""
KIND = "@"
"""What stands between those and the kind, unless that is the first."""
MEAN, PROBABILITIES, WORST = "log-probabilities", "probabilities", "worst"
KINDS = {
    MEAN: "Several networks as one: the mean of their log-probabilities.",
    PROBABILITIES: "Several networks as one: the mean of their probabilities.",
    WORST: "Several networks as one, each of which must be fooled: the one that is least fooled answers.",
}
"""The kinds, with what a card says of them."""
MOST = 4


class Joined(NamedTuple):
    """What a name says: the ``names`` of networks, and how they are taken as one, a key of `KINDS`."""

    names: tuple[str, ...]
    kind: str = MEAN


def name_of(names: Sequence[str], kind: str = MEAN) -> str:
    """Return the name of networks taken as one; that of the only one where there is one."""
    suffix = f"{KIND}{kind}" if kind != MEAN and len(names) > 1 else ""
    return JOINT.join(names) + suffix


def parsed(name: str, known: Container[str] = ()) -> Joined:
    """Return which networks ``name`` joins and how, itself alone where it joins none.

    In an address a bare "+" means a space: between ``known`` names it joins as well. Raises
    `errors.BadSetting` for more than four, and for an unknown kind.
    """
    bare, marked, kind = name.partition(KIND)
    spaced = bare.split()
    if JOINT not in bare and not (len(spaced) > 1 and all(part in known for part in spaced)):
        return Joined((name,))
    parts = spaced if JOINT not in bare else [part.strip() for part in bare.split(JOINT)]
    if len(parts) > MOST:
        raise BadSetting("Expected at most {most} networks as one, got {got}.", most=MOST, got=len(parts))
    if marked and kind.strip() not in KINDS:
        raise BadSetting(
            "Expected networks as one to be taken @probabilities or @worst, got “{got}”.",
            got=kind.strip()[:40],
        )
    return Joined(tuple(parts), kind.strip() if marked else MEAN)


def suited(first: Card, other: Card) -> bool:
    """Say whether the two networks may be taken as one: the same classes, the same channels."""
    return first.channels == other.channels and set(first.labels) == set(other.labels)


def joined(cards: Sequence[Card], kind: str = MEAN) -> Card:
    """Return the card of networks taken as one, in a kind of `KINDS`; what they see is cut out and scaled as
    for the first.

    Raises `errors.BadSetting` for one twice, and for other classes or channels.
    """
    first, names = cards[0], [card.name for card in cards]
    if len(set(names)) < len(names):
        raise BadSetting("Expected different networks as one, got “{got}”.", got=JOINT.join(names))
    for other in cards[1:]:
        if not suited(first, other):
            raise BadSetting(
                "Expected networks with the same classes and channels as {first}, got {other}.",
                first=first.title,
                other=other.title,
            )
    return _card(cards, kind)


def _card(cards: Sequence[Card], kind: str) -> Card:
    first, counts = cards[0], [card.parameters for card in cards]
    digest = sha256("".join(card.weights.sha256 for card in cards).encode()).hexdigest()
    return Card(
        name=name_of([card.name for card in cards], kind),
        title=_title([card.title for card in cards], kind),
        summary=KINDS[kind],
        size=first.size,
        labels=first.labels,
        weights=WeightsFile(JOINT.join(card.weights.file for card in cards), digest),
        mean=(0.0,) * first.channels,
        std=(1.0,) * first.channels,
        resize=first.resize,
        interpolation=first.interpolation,
        parameters=sum(filter(None, counts)) if all(counts) else None,
        offline=all(card.offline for card in cards),
        lab=any(card.lab for card in cards),
        parts=tuple(card.name for card in cards),
        ensemble=kind,
    )


def _title(titles: Sequence[str], kind: str) -> str:
    """Return the titles with a plus between them, without the words that all but the first begin alike with
    ("EfficientNet-Lite0 + Lite2"), and the kind unless it is the first."""
    family, hyphen, _ = titles[0].partition("-")
    start = family + hyphen if hyphen else titles[0]
    names = " + ".join([titles[0], *(title.removeprefix(start) or title for title in titles[1:])])
    return names if kind == MEAN else f"{names} ({kind})"


class Ensemble(Classifier):
    """Networks as one: ``(n, c, size, size)`` in [0, 1], of the first one's size, to log-probabilities
    ``(n, classes)``, in the order of the first one's classes."""

    def __init__(self, card: Card, parts: Sequence[Classifier]) -> None:
        super().__init__(card, nn.ModuleList(parts))
        self.parts = list(parts)
        self._orders = [_order(card, part.card) for part in parts]

    def members(self, x: Tensor) -> Tensor:
        """Return the log-probabilities of each network ``(networks, n, classes)``; images are resized to each
        network's size."""
        answers = [
            torch.log_softmax(part(fitted(x, part.card.size)), 1)[:, order]
            for part, order in zip(self.parts, self._orders, strict=True)
        ]
        return torch.stack(answers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean log-probabilities ``(n, classes)``, or the logarithm of the mean probabilities."""
        answers = self.members(x)
        if self.card.ensemble == PROBABILITIES:
            return torch.logsumexp(answers, 0) - math.log(len(answers))
        return answers.mean(0)

    def against(self, label: int, targeted: bool) -> Classifier:
        """Return what a search towards a goal asks: of a worst case the network that is least fooled."""
        return LeastFooled(self, label, targeted) if self.card.ensemble == WORST else self


class LeastFooled(Classifier):
    """Networks as one under a goal: the log-probabilities ``(n, classes)`` of the network that, at each
    image, is least fooled; of several alike, the first.

    ``targeted``: ``label`` is the class to reach, else the class to leave.
    """

    def __init__(self, networks: Ensemble, label: int, targeted: bool) -> None:
        goal = "reach" if targeted else "leave"
        super().__init__(replace(networks.card, name=f"{networks.card.name} {goal} {label}"), networks)
        self.networks, self.label, self.targeted = networks, label, targeted

    def forward(self, x: Tensor) -> Tensor:
        """Return the log-probabilities of the least fooled network ``(n, classes)``."""
        answers = self.networks.members(x)
        own = answers[:, :, self.label]
        others = torch.cat([answers[:, :, : self.label], answers[:, :, self.label + 1 :]], 2).amax(2)
        least = (own - others if self.targeted else others - own).argmin(0)
        return answers[least, torch.arange(len(x), device=x.device)]


def _order(card: Card, part: Card) -> list[int] | slice:
    """Return where ``part`` has the classes of ``card``."""
    if part.labels == card.labels:
        return slice(None)
    place = {label: index for index, label in enumerate(part.labels)}
    return [place[label] for label in card.labels]
