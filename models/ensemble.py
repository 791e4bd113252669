"""Several networks as one: what they say together is the mean of their log-probabilities.

Dong et al. 2018 (https://arxiv.org/abs/1710.06081, on attacking ensembles) average logits, which fools
networks that were not attacked more often than the averaged probabilities of Liu et al. 2017
(https://arxiv.org/abs/1611.02770) do. Log-probabilities are logits up to a constant of each image, so that
their mean has the same softmax as that of the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import torch
from torch import Tensor, nn

from errors import BadSetting
from models.core import Card, Classifier, WeightsFile, fitted

JOINT = "+"
"""What stands between the names of networks that are taken as one."""
MOST = 4


def names_of(name: str, known: Sequence[str]) -> list[str]:
    """Return the names of networks that ``name`` joins, itself alone where it joins none.

    In an address a bare "+" means a space: between ``known`` names it joins as well. Raises
    `errors.BadSetting` for more than four.
    """
    spaced = name.split()
    if JOINT not in name and not (len(spaced) > 1 and all(part in known for part in spaced)):
        return [name]
    parts = spaced if JOINT not in name else [part.strip() for part in name.split(JOINT)]
    if len(parts) > MOST:
        raise BadSetting("Expected at most {most} networks as one, got {got}.", most=MOST, got=len(parts))
    return parts


def suited(first: Card, other: Card) -> bool:
    """Say whether the two networks may be taken as one: the same classes, the same channels."""
    return first.channels == other.channels and set(first.labels) == set(other.labels)


def joined(cards: Sequence[Card]) -> Card:
    """Return the card of networks taken as one; what they see is cut out and scaled as for the first.

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
    return _card(cards)


def _card(cards: Sequence[Card]) -> Card:
    first, counts = cards[0], [card.parameters for card in cards]
    digest = sha256("".join(card.weights.sha256 for card in cards).encode()).hexdigest()
    return Card(
        name=JOINT.join(card.name for card in cards),
        title=_title([card.title for card in cards]),
        summary="Several networks as one: the mean of their log-probabilities.",
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
    )


def _title(titles: Sequence[str]) -> str:
    """Return the titles with a plus between them, without the words that all but the first begin alike with
    ("EfficientNet-Lite0 + Lite2")."""
    family, hyphen, _ = titles[0].partition("-")
    start = family + hyphen if hyphen else titles[0]
    return " + ".join([titles[0], *(title.removeprefix(start) or title for title in titles[1:])])


class Ensemble(Classifier):
    """Networks as one: ``(n, c, size, size)`` in [0, 1], of the first one's size, to the mean of their
    log-probabilities ``(n, classes)``, in the order of the first one's classes."""

    def __init__(self, card: Card, parts: Sequence[Classifier]) -> None:
        super().__init__(card, nn.ModuleList(parts))
        self.parts = list(parts)
        self._orders = [_order(card, part.card) for part in parts]

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean log-probabilities ``(n, classes)``; images are resized to each network's size."""
        answers = [
            torch.log_softmax(part(fitted(x, part.card.size)), 1)[:, order]
            for part, order in zip(self.parts, self._orders, strict=True)
        ]
        return torch.stack(answers).mean(0)


def _order(card: Card, part: Card) -> list[int] | slice:
    """Return where ``part`` has the classes of ``card``."""
    if part.labels == card.labels:
        return slice(None)
    place = {label: index for index, label in enumerate(part.labels)}
    return [place[label] for label in card.labels]
